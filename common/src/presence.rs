//! Under a test clock, each process follows the clock's moves and says how far it has come.

use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    clock::TestClock,
    store::{StoreError, processes, settings},
};

/// Short enough that every process has moved well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// This process, as the others see it.
#[derive(Debug, Clone)]
pub struct Presence {
    pool: PgPool,
    clock: TestClock,
    id: Uuid,
    name: &'static str,
}

impl Presence {
    pub fn new(pool: PgPool, clock: TestClock, name: &'static str, id: Uuid) -> Self {
        Self { pool, clock, id, name }
    }

    /// Follows the clock once. Answers whether it had moved. Reports nothing yet.
    pub async fn follow(&self) -> Result<bool, StoreError> {
        let mut conn = self.pool.acquire().await?;
        let stand = settings::clock(&mut conn).await?;
        Ok(self.clock.follow(stand.offset_ms, stand.moves))
    }

    /// Says that everything in this process has followed the clock to where it stands.
    pub async fn report(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        processes::report(&mut conn, self.id, self.name, self.clock.moves()).await
    }

    pub async fn leave(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        processes::leave(&mut conn, self.id).await
    }

    /// Follows for as long as the process lives; `moved` runs after each move, before it is reported.
    pub fn spawn<F, Fut>(self, moved: F) -> JoinHandle<()>
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(LOOK_EVERY);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                match self.follow().await {
                    Ok(true) => moved().await,
                    Ok(false) => {}
                    Err(error) => tracing::debug!(%error, "the test clock could not be read"),
                }
                if let Err(error) = self.report().await {
                    tracing::debug!(%error, "this process could not say how far it has followed the clock");
                }
            }
        })
    }
}
