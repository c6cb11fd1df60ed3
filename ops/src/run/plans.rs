//! From the words of `billing plans` to its functions.

use ops::{
    OpsError, consents, moment,
    plans::{self, PlanChange},
    price_changes,
    reprice::{self, Wish},
};
use sqlx::PgConnection;

use super::Session;
use crate::cli::{Plans, Reprice};

impl Session {
    pub(super) async fn plans(&self, conn: &mut PgConnection, command: Plans) -> Result<String, OpsError> {
        let now = moment::now(conn).await?;
        match command {
            Plans::List => self.text(&plans::list(conn).await?),
            Plans::Set { code, name, monthly, yearly } => {
                self.text(&plans::set(conn, &code, PlanChange { name, monthly, yearly }, now).await?)
            }
            Plans::Reprice(Reprice { code, monthly, yearly, was, from, reason, dry_run }) => {
                let wish = Wish { plan: code, monthly, yearly, was, from, reason };
                self.text(&reprice::reprice(conn, &wish, dry_run, &self.actor, now).await?)
            }
            Plans::PriceChanges => self.text(&price_changes::list(conn, now).await?),
            Plans::Consents { id } => self.text(&consents::report(conn, id).await?),
            Plans::Withdraw { id, reason } => {
                self.text(&price_changes::withdraw(conn, id, &reason, &self.actor, now).await?)
            }
        }
    }
}
