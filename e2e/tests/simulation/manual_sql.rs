//! Writes forbidden rows by hand at any moment, as somebody with the database's password could. The schema must refuse
//! each of them. Where `WITHOUT` has dropped a fence, the row stays and the seed goes on with it.

mod payments;
mod periods;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::simulation::{Simulation, Violation};
use crate::trace;

/// A statement that a fence refuses, and the rows that it can be tried on.
#[derive(Clone, Copy)]
struct ForbiddenWrite {
    description: &'static str,
    /// Selects rows: id, subscription, and a number that orders the rows of a subscription.
    targets: &'static str,
    /// May use the row's id as `given.target`, the time as `given.now`, and a random `given.number`.
    statement: &'static str,
}

/// Not every write has a row to be tried on: so many are picked until one has.
const MAX_PICKS: usize = 5;
/// A stopped task may hold the lock, so the write does not wait for it.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '50ms'";
const LOCK_NOT_AVAILABLE: &str = "55P03";

impl Simulation<'_> {
    pub(crate) async fn attempt_forbidden_write(&mut self) {
        for _ in 0..MAX_PICKS {
            let write = self.rng.pick(&[&payments::WRITES[..], &periods::WRITES[..]].concat());
            let targets = sqlx::query_as(write.targets).fetch_all(self.testbed.admin_pool());
            let mut targets: Vec<(Uuid, Uuid, i32)> = targets.await.unwrap();
            let position = |id| self.customers.iter().position(|customer| customer.subscription_id == id);
            targets.sort_by_key(|(_, subscription, number)| (position(*subscription), *number));
            if !targets.is_empty() {
                let (target, subscription, _) = self.rng.pick(&targets);
                return self.attempt(write, target, subscription).await;
            }
        }
    }

    async fn attempt(&mut self, write: ForbiddenWrite, target: Uuid, subscription: Uuid) {
        let number = self.rng.between(1_000, 999_999);
        let result = match self.write(write, target, i32::try_from(number).unwrap()).await {
            Ok(0) => "no row to write".to_owned(),
            Ok(_) => {
                self.accepted_writes.push(write.description);
                "accepted".to_owned()
            }
            Err(refusal) => refusal,
        };
        self.trace.record(format!(
            "manual SQL on {}: {}: {result}",
            trace::customer_label(self, subscription),
            write.description
        ));
        self.wake_all_slots();
    }

    /// Returns the number of rows written, or what refused them.
    async fn write(&self, write: ForbiddenWrite, target: Uuid, number: i32) -> Result<u64, String> {
        let given = "with given (target, now, number) as (values ($1::uuid, $2::timestamptz, $3::integer))";
        let sql = AssertSqlSafe(format!("{given} {}", write.statement));
        let mut tx = self.testbed.admin_pool().begin().await.unwrap();
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await.unwrap();
        let query = sqlx::query(sql).bind(target).bind(self.testbed.now()).bind(number);
        let written = query.execute(&mut *tx).await.map_err(|error| refusal(&error))?.rows_affected();
        // Deferred constraints refuse at the commit.
        tx.commit().await.map_err(|error| refusal(&error))?;
        Ok(written)
    }
}

fn refusal(error: &sqlx::Error) -> String {
    let refused = error.as_database_error().expect("the database refuses it");
    match (refused.constraint(), refused.code().as_deref()) {
        (Some(fence), _) => format!("{fence} refuses"),
        (None, Some(LOCK_NOT_AVAILABLE)) => "the row is locked".to_owned(),
        (None, _) => panic!("{error}"),
    }
}

/// Fails when the schema accepted a forbidden write, even one without consequences.
pub(crate) fn no_write_was_accepted(simulation: &Simulation<'_>) -> Vec<Violation> {
    simulation.accepted_writes.iter().map(|write| format!("schema: it accepted {write}")).collect()
}
