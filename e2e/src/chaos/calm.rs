//! Whether anything is left to do, and the operator who tries parked jobs again.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{self, JobFilter, JobState};
use sqlx::PgPool;

/// Later than any look-up, earlier than the next day's retry of a declined card.
const SOON: TimeDelta = TimeDelta::hours(12);

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Left {
    pub(super) due: i64,
    pub(super) unsettled: i64,
    pub(super) jobs: i64,
}

impl Left {
    pub(super) async fn now(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let left = sqlx::query_as(
            "select (select count(*) from subscriptions where status = 'active' and next_billing_date <= $1) as due,
                    (select count(*) from payments
                      where status in ('pending', 'unknown') and review_since is null) as unsettled,
                    (select count(*) from jobs
                      where state in ('running', 'parked') or (state = 'available' and run_at < $2)) as jobs",
        );
        Ok(left.bind(now).bind(now + SOON).fetch_one(pool).await?)
    }

    pub(super) fn is_nothing(self) -> bool {
        (self.due, self.unsettled, self.jobs) == (0, 0, 0)
    }
}

/// Tries every parked job again, as `billing jobs retry` does. Answers how many there were.
pub(super) async fn unpark(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<u64> {
    let mut tx = pool.begin().await?;
    let parked = JobFilter { state: Some(JobState::Parked), ..JobFilter::default() };
    let parked = queue::list(&mut tx, &parked).await?;
    for job in &parked {
        queue::retry_now(&mut tx, job.id, now, "chaos").await.context("a parked job could not be retried")?;
    }
    tx.commit().await?;
    Ok(u64::try_from(parked.len()).unwrap_or_default())
}
