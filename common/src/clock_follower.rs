//! Keeps this process on the clock of its database. A database is born on one clock: the first process decides which, and
//! processes of the other kind refuse to start. On the test clock every process follows a move within a second.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::clock::{Clock, ClockKind};
use crate::store::{StoreError, settings};

/// Several looks per second, because `billing clock` returns one second after a move.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// A database that is gone without a word is not waited for.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct ClockFollower {
    pool: PgPool,
    clock: Clock,
}

#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "CLOCK is {ours}, but this database began on the {theirs} clock: set CLOCK={theirs}, or use another database"
    )]
    OtherClock { ours: &'static str, theirs: &'static str },
}

impl From<sqlx::Error> for ClockError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl ClockFollower {
    pub fn new(pool: PgPool, clock: Clock) -> Self {
        Self { pool, clock }
    }

    /// Joins the database's clock, or decides it where this is the first process.
    pub async fn join(&self) -> Result<(), ClockError> {
        let mut conn = self.pool.acquire().await?;
        let kind = self.kind();
        let database = settings::join_clock(&mut conn, kind).await?;
        if database.kind != kind {
            return Err(ClockError::OtherClock { ours: kind.into(), theirs: database.kind.into() });
        }
        self.set(database.offset_ms, database.moves);
        Ok(())
    }

    /// As [`Self::join`], waiting for a database that is away.
    pub async fn join_when_possible(&self) -> Result<(), ClockError> {
        let mut tick = tokio::time::interval(LOOK_INTERVAL);
        let mut was_away = false;
        loop {
            tick.tick().await;
            match self.join().await {
                Err(ClockError::Store(error)) if was_away => {
                    tracing::debug!(%error, "still waiting for the database");
                }
                Err(ClockError::Store(error)) => {
                    tracing::warn!(%error, "waiting for the database");
                    was_away = true;
                }
                joined => return joined,
            }
        }
    }

    /// Follows for as long as the process lives, and joins first where it has not. Runs `moved` after each move, and `looked`
    /// after each look. Ends only with the reason why this process must not go on.
    pub async fn keep_following<F, Fut>(
        &self,
        has_joined: bool,
        moved: F,
        looked: impl Fn() + Send,
    ) -> ClockError
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = ()> + Send,
    {
        // What follows from a move may take long; the clock itself goes on following meanwhile.
        let news = Notify::new();
        tokio::select! {
            reason = self.follow(has_joined, &news, looked) => reason,
            reason = react(&news, moved) => reason,
        }
    }

    async fn follow(&self, mut has_joined: bool, news: &Notify, looked: impl Fn() + Send) -> ClockError {
        let mut tick = tokio::time::interval(LOOK_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            looked();
            // The system's clock never moves, and a database never changes its clock.
            if has_joined && self.kind() == ClockKind::System {
                continue;
            }
            match tokio::time::timeout(LOOK_TIMEOUT, self.look(has_joined)).await {
                Ok(Ok(has_moved)) => {
                    has_joined = true;
                    if has_moved {
                        news.notify_one();
                    }
                }
                Ok(Err(stop @ ClockError::OtherClock { .. })) => return stop,
                Ok(Err(ClockError::Store(error))) => {
                    tracing::debug!(%error, "the clock could not be read; tried again soon");
                }
                Err(_elapsed) => tracing::warn!("the database does not answer; tried again soon"),
            }
        }
    }

    /// Returns whether the clock has moved.
    async fn look(&self, has_joined: bool) -> Result<bool, ClockError> {
        if !has_joined {
            self.join().await?;
            return Ok(false);
        }
        let mut conn = self.pool.acquire().await?;
        let database = settings::clock(&mut conn).await?;
        Ok(self.set(database.offset_ms, database.moves))
    }

    fn set(&self, offset_ms: i64, moves: i64) -> bool {
        match &self.clock {
            Clock::Test(clock) => clock.follow(offset_ms, moves),
            Clock::System | Clock::Standing(_) => false,
        }
    }

    fn kind(&self) -> ClockKind {
        match &self.clock {
            Clock::Test(_) => ClockKind::Test,
            Clock::System | Clock::Standing(_) => ClockKind::System,
        }
    }
}

async fn react<F, Fut>(news: &Notify, moved: F) -> ClockError
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()>,
{
    loop {
        news.notified().await;
        moved().await;
    }
}
