//! How much is waiting, running and stuck, per kind.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::error::QueueError;

/// One kind's unfinished jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The kind.
    pub kind: String,
    /// Due and not claimed.
    pub due: i32,
    /// Waiting for a later time.
    pub scheduled: i32,
    /// Leased by a worker.
    pub running: i32,
    /// Waiting for an operator after crashes.
    pub parked: i32,
}

impl Depth {
    pub(crate) fn by_state(&self) -> [(&'static str, f64); 4] {
        [("due", self.due), ("scheduled", self.scheduled), ("running", self.running), ("parked", self.parked)]
            .map(|(state, jobs)| (state, f64::from(jobs)))
    }
}

/// Counts unfinished jobs per kind, by the application's clock.
pub async fn depth(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> Result<Vec<Depth>, QueueError> {
    let depths = sqlx::query_as!(
        Depth,
        r#"
        select kind as "kind!",
               (count(*) filter (where state = 'available' and run_at <= $1))::integer as "due!",
               (count(*) filter (where state = 'available' and run_at > $1))::integer as "scheduled!",
               (count(*) filter (where state = 'running'))::integer as "running!",
               (count(*) filter (where state = 'parked'))::integer as "parked!"
        from (select kind, state, run_at from jobs where state = 'available'
              union all select kind, state, run_at from jobs where state = 'running'
              union all select kind, state, run_at from jobs where state = 'parked') unfinished
        group by kind order by kind
        "#,
        now
    )
    .fetch_all(db)
    .await?;
    Ok(depths)
}
