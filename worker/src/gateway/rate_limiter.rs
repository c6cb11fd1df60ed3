//! Limits the calls to Toss to `TOSS_MAX_RPS` for all workers together; the database hands out the turns.

use std::time::Duration;

use common::store::{StoreError, gate};
use sqlx::PgPool;

/// Lets calls through at an even rate, in the order in which their turns were taken.
#[derive(Debug, Clone, Copy)]
pub struct RateLimiter {
    interval: Duration,
}

impl RateLimiter {
    pub fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1) }
    }

    /// Waits for a turn. Holds no transaction meanwhile: callers take a turn before they record the intent.
    pub async fn acquire(self, pool: &PgPool) -> Result<(), StoreError> {
        let mut conn = pool.acquire().await?;
        let wait = gate::take_turn(&mut conn, self.interval).await?;
        drop(conn);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
