//! What the operators' console reads. Every statement is bounded by an index: a page may never be what slows a charge.

pub mod charts;
pub mod failures;
pub mod jobs;
pub mod lists;
pub mod money;
pub mod search;
pub mod subscription;
pub mod today;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::StoreError;

/// A transaction that only reads, on one snapshot, and gives up early. Its conditions are mostly optional, so each
/// statement is planned for what it was given.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let begin = "begin isolation level repeatable read read only";
    let mut tx = pool.begin_with(begin).await?;
    sqlx::query(
        "select set_config('statement_timeout', '10s', true), set_config('plan_cache_mode', 'force_custom_plan', true)",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}

/// Which rows of a list; every condition that is given must hold, and each list knows the ones that it has.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Status or state.
    pub state: Option<String>,
    pub kind: Option<String>,
    /// Toss's code, or what failed jobs have in common.
    pub cause: Option<String>,
    pub subscription_id: Option<Uuid>,
    pub actor: Option<String>,
    /// Made at or after.
    pub since: Option<DateTime<Utc>>,
    /// Made before.
    pub until: Option<DateTime<Utc>>,
    /// The last row of the page before, where rows are numbered.
    pub before_number: Option<i64>,
    /// The same where their ids are UUIDs in the order of time.
    pub before_id: Option<Uuid>,
    pub limit: i64,
}

impl Filter {
    /// Ids begin with their time, so the list's own index also finds rows by it.
    fn least_id(&self) -> Uuid {
        self.since.map_or(Uuid::nil(), first_id_of)
    }

    /// Only ids below this one.
    fn end_id(&self) -> Uuid {
        let until = self.until.map_or(Uuid::max(), first_id_of);
        self.before_id.map_or(until, |before| before.min(until))
    }
}

/// The smallest id that a row made at this time may have.
fn first_id_of(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::new_id;

    #[test]
    fn ids_of_a_time_lie_between_its_bounds() {
        let at = "2026-11-29T13:00:00.123Z".parse().unwrap();
        let filter = Filter {
            since: Some(at),
            until: Some(at + chrono::TimeDelta::milliseconds(1)),
            ..Filter::default()
        };
        let id = new_id(at);
        assert!(filter.least_id() <= id && id < filter.end_id());
        let page_after = Filter { before_id: Some(id), ..filter };
        assert_eq!(page_after.end_id(), id);
    }
}
