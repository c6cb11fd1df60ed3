//! Limits the calls to Toss to `TOSS_MAX_RPS` for all workers together; the database hands out the turns.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use common::store::gate::{Lane, Turns};
use common::store::{StoreError, gate};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

/// What a process takes at once: at 1,000 calls a second most calls find their turn in hand, at 10 each takes its own.
const BLOCK: Duration = Duration::from_millis(100);
/// How long a turn that nobody needed is good for another call. Longer, and the turns of a pause would come all at once.
const RETURNED_FOR: Duration = Duration::from_millis(250);
/// How long a call waits for those before it to reach the database, which is away then.
const QUEUE_FOR: Duration = Duration::from_secs(5);

/// Toss may ask for a pause; a wrong number must not stop anything for a day.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// The pause before a job's next call that `Retry-After` asks for.
pub(crate) fn pause_of(retry_after: Option<Duration>) -> TimeDelta {
    retry_after.map_or(TimeDelta::zero(), |wait| {
        TimeDelta::from_std(wait).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
    })
}

/// Lets calls through at an even rate. Each lane has its part of it, in the order in which its turns were taken.
#[derive(Debug)]
pub struct RateLimiter {
    every: Duration,
    block: Duration,
    confirmation: Mutex<Block>,
    charge: Mutex<Block>,
    refund: Mutex<Block>,
    look_up: Mutex<Block>,
    webhook: Mutex<Block>,
    returned: std::sync::Mutex<Vec<Turn>>,
}

/// Turns in hand. They are void when their time is over: kept for later, they would come on top of the rate of then.
#[derive(Debug, Clone, Copy)]
struct Block {
    left: u32,
    from: Instant,
    until: Instant,
}

/// The right to make one call.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    lane: Lane,
    from: Instant,
}

impl RateLimiter {
    pub fn new(per_second: u32) -> Self {
        Self::with_blocks(per_second, BLOCK)
    }

    /// Asks the database for each call: what a run asks does not depend on how fast the machine is.
    pub fn one_by_one(per_second: u32) -> Self {
        Self::with_blocks(per_second, Duration::ZERO)
    }

    fn with_blocks(per_second: u32, block: Duration) -> Self {
        let empty = || Mutex::new(Block::empty());
        Self {
            every: Duration::from_secs(1) / per_second.max(1),
            block,
            confirmation: empty(),
            charge: empty(),
            refund: empty(),
            look_up: empty(),
            webhook: empty(),
            returned: std::sync::Mutex::default(),
        }
    }

    /// Waits for a turn. Holds no transaction meanwhile: callers take a turn before they record the intent.
    pub async fn acquire(&self, pool: &PgPool, lane: Lane) -> Result<Turn, StoreError> {
        if let Some(turn) = self.take_returned(lane) {
            sleep_until(turn.from).await;
            return Ok(turn);
        }
        let queued = timeout(QUEUE_FOR, self.block(lane).lock()).await;
        let mut block = queued.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // Whoever finds none takes a block for all who wait behind it.
        if block.left == 0 || Instant::now() >= block.until {
            let mut conn = pool.acquire().await?;
            let Turns { count, wait } = gate::take_turns(&mut conn, lane, self.every, self.block).await?;
            let from = Instant::now() + wait;
            *block = Block { left: count, from, until: from + self.block };
        }
        block.left = block.left.saturating_sub(1);
        let turn = Turn { lane, from: block.from };
        drop(block);
        sleep_until(turn.from).await;
        Ok(turn)
    }

    /// Nothing was asked: the next call of the lane has the turn. It waits for nobody, because callers hold rows and a
    /// connection.
    pub(crate) fn give_back(&self, turn: Turn) {
        if !self.block.is_zero() {
            self.returned().push(turn);
        }
    }

    /// The latest turn of the lane that was given back, if it is still good.
    fn take_returned(&self, lane: Lane) -> Option<Turn> {
        let mut returned = self.returned();
        let now = Instant::now();
        returned.retain(|turn| now < turn.from + RETURNED_FOR);
        let place = returned.iter().rposition(|turn| turn.lane == lane)?;
        Some(returned.swap_remove(place))
    }

    fn returned(&self) -> MutexGuard<'_, Vec<Turn>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing of its lane was asked: another call may have the turn, and this one waits for a turn of the other lane.
    pub(crate) async fn exchange(&self, pool: &PgPool, turn: Turn, lane: Lane) -> Result<(), StoreError> {
        if turn.lane != lane {
            self.give_back(turn);
            self.acquire(pool, lane).await?;
        }
        Ok(())
    }

    /// Nobody calls for as long as `Retry-After` asks. The answer that asks for it matters more: a failure is only logged.
    pub(crate) async fn put_off(&self, pool: &PgPool, retry_after: Option<Duration>) {
        let Some(wait) = retry_after else { return };
        self.returned().clear();
        for lane in [&self.confirmation, &self.charge, &self.refund, &self.look_up, &self.webhook] {
            // An answer is in hand: it is not held up by a database that does not answer.
            if let Ok(mut block) = timeout(QUEUE_FOR, lane.lock()).await {
                *block = Block::empty();
            }
        }
        let put_off = async { gate::put_off_turns(&mut *pool.acquire().await?, wait).await };
        if let Err(error) = put_off.await {
            tracing::warn!(%error, "the pause that Toss asks for was not kept");
        }
    }

    fn block(&self, lane: Lane) -> &Mutex<Block> {
        match lane {
            Lane::Confirmation => &self.confirmation,
            Lane::Charge => &self.charge,
            Lane::Refund => &self.refund,
            Lane::LookUp => &self.look_up,
            Lane::Webhook => &self.webhook,
        }
    }
}

impl Block {
    fn empty() -> Self {
        let now = Instant::now();
        Self { left: 0, from: now, until: now }
    }
}
