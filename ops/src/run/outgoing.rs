//! From the words of `billing events` to its functions.

use common::store::event_history::EventFilter;
use ops::{OpsError, events, moment};
use sqlx::PgConnection;

use super::Session;
use crate::cli::{Events, Which};

impl Session {
    pub(super) async fn events(&self, conn: &mut PgConnection, command: Events) -> Result<String, OpsError> {
        let now = moment::now(conn).await?;
        match command {
            Events::List { which, limit } => {
                self.text(&events::list(conn, &filter(Vec::new(), &which), limit).await?)
            }
            Events::Show { id } => self.text(&events::show(conn, id).await?),
            Events::Replay { ids, which } => {
                self.text(&events::replay(conn, &filter(ids, &which), now).await?)
            }
            Events::On { reason } => self.text(&events::switch(conn, true, &reason, &self.actor, now).await?),
            Events::Off { reason } => {
                self.text(&events::switch(conn, false, &reason, &self.actor, now).await?)
            }
        }
    }
}

fn filter(ids: Vec<uuid::Uuid>, which: &Which) -> EventFilter {
    let Which { subscription, state, since, until } = *which;
    let state = state.map(crate::cli::State::word);
    EventFilter { ids, subscription_id: subscription, state, since, until }
}
