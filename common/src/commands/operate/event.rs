//! Replaying an outgoing event: it is delivered again under its old id.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::ActionError;
use crate::{
    commands::deliver_events::replay_batch,
    domain::action::{Effect, Refusal},
    store::webhook_deliveries::{self, EventFilter},
};

pub(super) async fn replay(
    conn: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let endpoint = webhook_deliveries::endpoint(conn).await?;
    if !endpoint.enabled {
        let why = endpoint.why.unwrap_or_else(|| "no worker has had a WEBHOOK_URL".to_owned());
        return Err(Refusal::NobodyListens(why).into());
    }
    let filter = EventFilter { ids: vec![id], ..EventFilter::default() };
    match replay_batch(conn, &filter, 0, now).await? {
        Some(_) => Ok(vec![Effect::EventIsDelivered]),
        None => Err(Refusal::EventWaits.into()),
    }
}
