//! Limits the calls to Toss to `TOSS_MAX_RPS` for all workers together; the database hands out the turns.

use std::time::Duration;

use common::store::{
    StoreError,
    gate::{self, Lane},
};
use sqlx::PgPool;

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
}
