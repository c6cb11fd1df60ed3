//! The work that remains after the faults, and the operator who retries parked jobs.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{self, JobFilter, JobState};
use sqlx::PgPool;

/// Later than any look-up, earlier than the next day's retry of a declined card.
const SOON: TimeDelta = TimeDelta::hours(12);

/// Work that remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct RemainingWork {
    pub(super) due: i64,
    pub(super) unfinished: i64,
    pub(super) jobs: i64,
}

impl RemainingWork {
    pub(super) async fn now(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let remaining = sqlx::query_as(
            "select (select count(*) from subscriptions where status = 'active' and next_billing_date <= $1) as due,
                    (select count(*) from payments
                      where status in ('pending', 'unknown') and review_since is null) as unfinished,
                    (select count(*) from jobs
                      where state in ('running', 'parked') or (state = 'available' and run_at < $2)) as jobs",
        );
        Ok(remaining.bind(now).bind(now + SOON).fetch_one(pool).await?)
    }

    pub(super) fn is_none(self) -> bool {
        (self.due, self.unfinished, self.jobs) == (0, 0, 0)
    }
}

/// Retries every parked job, as `billing jobs retry` does. Returns their number.
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
