//! How fast Toss is asked: `TOSS_MAX_RPS` for all workers together, turns handed out by the database.

use std::time::Duration;

use common::store::{StoreError, gate};
use sqlx::PgPool;

/// Lets calls through at an even pace, in the order in which their turns were taken.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    every: Duration,
}

impl Pace {
    pub fn new(per_second: u32) -> Self {
        Self { every: Duration::from_secs(1) / per_second.max(1) }
    }

    /// Waits for a turn. Nothing is held meanwhile: called before the intent, never inside a transaction.
    pub async fn turn(self, pool: &PgPool) -> Result<(), StoreError> {
        let mut conn = pool.acquire().await?;
        let wait = gate::take_turn(&mut conn, self.every).await?;
        drop(conn);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
