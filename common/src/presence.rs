//! Each process says which clock it follows. On the test clock it follows the moves and says how far it has come; on the
//! system's it refuses a database whose test clock has been moved, as its dates are of another time.

use std::{pin::pin, time::Duration};

use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    clock::{Clock, ClockKind},
    store::{
        StoreError, processes,
        settings::{self, ClockMove},
    },
};

/// Short enough that every process has moved well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often a process that is slow to follow says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// On the system's clock nothing moves: this only says that the process is there.
const LOOK_AT_TIMES: Duration = Duration::from_secs(2);

/// A server that is gone without a word is not waited for; following a jump of years takes less.
const LOOKS_FOR: Duration = Duration::from_mins(5);

/// This process, as the others see it.
#[derive(Debug, Clone)]
pub struct Presence {
    pool: PgPool,
    clock: Clock,
    id: Uuid,
    name: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "CLOCK is system, but the test clock of this database has been moved: its dates are not of this time. \
         Use CLOCK=test, or another database"
    )]
    ClockHasMoved,
}

impl From<sqlx::Error> for PresenceError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Presence {
    pub fn new(pool: PgPool, clock: Clock, name: &'static str, id: Uuid) -> Self {
        Self { pool, clock, id, name }
    }

    /// Takes part: from here on the clock moves only together with this process, or not at all.
    pub async fn enter(&self) -> Result<(), PresenceError> {
        // Whoever moves the clock holds this lock, too, while looking for processes on the system's.
        let mut tx = self.pool.begin().await?;
        let stand = settings::lock_clock(&mut tx).await?;
        let so_far = self.moves();
        self.follow(stand)?;
        // Reported as followed when everything in this process has.
        processes::report(&mut tx, self.id, self.name, self.kind(), so_far).await?;
        Ok(tx.commit().await?)
    }

    /// As [`Self::enter`], waiting for a database that is away.
    pub async fn enter_when_possible(&self) -> Result<(), PresenceError> {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        let mut has_been_told = false;
        loop {
            tick.tick().await;
            match self.enter().await {
                Err(PresenceError::Store(error)) if has_been_told => {
                    tracing::debug!(%error, "still waiting for the database");
                }
                Err(PresenceError::Store(error)) => {
                    tracing::warn!(%error, "waiting for the database");
                    has_been_told = true;
                }
                entered => return entered,
            }
        }
    }

    pub async fn leave(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        processes::leave(&mut conn, self.id).await
    }

    /// Follows on a task of its own, see [`Self::keep_following`].
    pub fn spawn<F, Fut>(self, has_entered: bool, moved: F) -> JoinHandle<PresenceError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send,
    {
        tokio::spawn(async move { self.keep_following(has_entered, moved, || {}).await })
    }

    /// Follows for as long as the process lives, and enters first where it has not; `moved` runs after each move, before
    /// it is reported, `looked` after each look. Ends only with the reason why this process must not go on.
    pub async fn keep_following<F, Fut>(
        &self,
        mut has_entered: bool,
        moved: F,
        looked: impl Fn() + Send,
    ) -> PresenceError
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = ()> + Send,
    {
        let mut tick = tokio::time::interval(match self.kind() {
            ClockKind::System => LOOK_AT_TIMES,
            ClockKind::Test => LOOK_EVERY,
        });
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match tokio::time::timeout(LOOKS_FOR, self.look(has_entered, &moved)).await {
                Ok(Ok(())) => has_entered = true,
                Ok(Err(stop @ PresenceError::ClockHasMoved)) => return stop,
                // By now the others may have taken it for gone.
                Ok(Err(PresenceError::Store(error))) => {
                    has_entered = false;
                    tracing::debug!(%error, "the clock could not be read; tried again soon");
                }
                Err(_elapsed) => {
                    has_entered = false;
                    tracing::warn!("the database does not answer; tried again soon");
                }
            }
            looked();
        }
    }

    async fn look<F, Fut>(&self, has_entered: bool, moved: &F) -> Result<(), PresenceError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = ()>,
    {
        let before = self.moves();
        if !has_entered {
            self.enter().await?;
        }
        let mut conn = self.pool.acquire().await?;
        let stand = settings::clock(&mut conn).await?;
        self.follow(stand)?;
        if self.moves() != before {
            self.stay_while(&mut conn, before, moved()).await;
        }
        Ok(processes::report(&mut conn, self.id, self.name, self.kind(), stand.moves).await?)
    }

    /// However long it takes to follow, this process is there meanwhile.
    async fn stay_while(&self, conn: &mut PgConnection, so_far: i64, moving: impl Future<Output = ()>) {
        let (mut moving, mut beat) = (pin!(moving), tokio::time::interval(BEAT));
        loop {
            tokio::select! {
                () = &mut moving => return,
                _ = beat.tick() => {}
            }
            if let Err(error) = processes::report(conn, self.id, self.name, self.kind(), so_far).await {
                tracing::debug!(%error, "this process could not say that it is there");
            }
        }
    }

    fn follow(&self, stand: ClockMove) -> Result<(), PresenceError> {
        match &self.clock {
            Clock::Test(clock) => {
                clock.follow(stand.offset_ms, stand.moves);
                Ok(())
            }
            Clock::System | Clock::Standing(_) if stand.offset_ms == 0 => Ok(()),
            Clock::System | Clock::Standing(_) => Err(PresenceError::ClockHasMoved),
        }
    }

    fn kind(&self) -> ClockKind {
        match &self.clock {
            Clock::Test(_) => ClockKind::Test,
            Clock::System | Clock::Standing(_) => ClockKind::System,
        }
    }

    fn moves(&self) -> i64 {
        match &self.clock {
            Clock::Test(clock) => clock.moves(),
            Clock::System | Clock::Standing(_) => 0,
        }
    }
}
