//! Limits the calls to Toss to `TOSS_MAX_RPS` for all workers together; the database hands out the turns.

use std::time::Duration;

use chrono::TimeDelta;
use common::store::{
    StoreError,
    gate::{self, Lane},
};
use sqlx::PgPool;

/// Toss may ask for a pause; a wrong number must not stop anything for a day.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// The pause before a job's next call that `Retry-After` asks for.
pub(crate) fn pause_of(retry_after: Option<Duration>) -> TimeDelta {
    retry_after.map_or(TimeDelta::zero(), |wait| {
        TimeDelta::from_std(wait).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
    })
}

/// Lets calls through at an even rate. Each lane has its part of it, in the order in which its turns were taken.
#[derive(Debug, Clone, Copy)]
pub struct RateLimiter {
    interval: Duration,
}

impl RateLimiter {
    pub fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1) }
    }

    /// Waits for a turn. Holds no transaction meanwhile: callers take a turn before they record the intent.
    pub async fn acquire(self, pool: &PgPool, lane: Lane) -> Result<(), StoreError> {
        let mut conn = pool.acquire().await?;
        let wait = gate::take_turn(&mut conn, lane, self.interval).await?;
        drop(conn);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Nobody calls for as long as `Retry-After` asks. The answer that asks for it matters more: a failure is only logged.
    pub(crate) async fn put_off(self, pool: &PgPool, retry_after: Option<Duration>) {
        let Some(wait) = retry_after else { return };
        let put_off = async { gate::put_off_turns(&mut *pool.acquire().await?, wait).await };
        if let Err(error) = put_off.await {
            tracing::warn!(%error, "the pause that Toss asks for was not kept");
        }
    }
}
