//! The storm: workers, API and database killed again and again while the bank lies and the clock runs on.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::TimeDelta;

use super::{faults, options::ServerOptions, stage::Stage};
use crate::process::{Process, Program};

const KILL_EVERY_MS: Range<u64> = 1_000..2_000;
const KILL_API_EVERY_MS: Range<u64> = 7_000..12_000;
/// Longer than a lease: nothing of a dead worker's is taken back in the first lease after the database's start.
const CRASH_DATABASE_EVERY_MS: Range<u64> = 20_000..45_000;
const FIRST_DATABASE_CRASH_MS: u64 = 8_000;
const OUTAGE_AFTER_MS: u64 = 15_000;
const OUTAGE_CALLS: u64 = 40;
const LOOK_EVERY_MS: u64 = 50;
/// How far the clock jumps each second: look-ups come minutes apart, and a buyer has ten to be confirmed.
const CLOCK_STEP_SECS: Range<i64> = 10..40;

/// What was done to the system.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) worker_kills: AtomicU64,
    pub(super) api_kills: AtomicU64,
    pub(super) database_crashes: AtomicU64,
    pub(super) signed_up: AtomicU64,
    pub(super) unparked: AtomicU64,
    /// Processes that ended although nobody killed them.
    pub(super) fell: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Storm {
    over: AtomicBool,
    pub(super) tally: Tally,
}

impl Storm {
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// False when the storm ended meanwhile.
    async fn lasts_for(&self, milliseconds: u64) -> bool {
        for _ in 0..milliseconds / LOOK_EVERY_MS {
            if self.is_over() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
        }
        !self.is_over()
    }
}

/// Kills one at random, starts it again, until the storm is over. Answers the processes, all of them running.
pub(super) async fn keep_killing_workers(
    programs: Vec<Program>,
    storm: Arc<Storm>,
) -> anyhow::Result<Vec<Process>> {
    let mut running = programs.iter().map(Program::start).collect::<anyhow::Result<Vec<_>>>()?;
    while storm.lasts_for(rand::random_range(KILL_EVERY_MS)).await {
        let victim = rand::random_range(0..programs.len());
        for (number, (program, process)) in programs.iter().zip(&mut running).enumerate() {
            if process.has_fallen()? {
                storm.tally.fell.fetch_add(1, Relaxed);
                *process = program.start()?;
            } else if number == victim {
                process.kill().await?;
                storm.tally.worker_kills.fetch_add(1, Relaxed);
                *process = program.start()?;
            }
        }
    }
    Ok(running)
}

pub(super) async fn keep_killing_api(program: Program, storm: Arc<Storm>) -> anyhow::Result<Process> {
    let mut running = program.start()?;
    while storm.lasts_for(rand::random_range(KILL_API_EVERY_MS)).await {
        if running.has_fallen()? {
            storm.tally.fell.fetch_add(1, Relaxed);
        } else {
            running.kill().await?;
            storm.tally.api_kills.fetch_add(1, Relaxed);
        }
        running = program.start()?;
    }
    Ok(running)
}

pub(super) async fn keep_crashing_database(server: ServerOptions, storm: Arc<Storm>) -> anyhow::Result<()> {
    let mut pause = FIRST_DATABASE_CRASH_MS;
    while storm.lasts_for(pause).await {
        server.crash_and_restart().await?;
        storm.tally.database_crashes.fetch_add(1, Relaxed);
        pause = rand::random_range(CRASH_DATABASE_EVERY_MS);
    }
    Ok(())
}

/// Faulty answers throughout, and once nothing but errors.
pub(super) async fn keep_lying(stage: Arc<Stage>, storm: Arc<Storm>) -> anyhow::Result<()> {
    faults::begin(&stage.bank).await?;
    if storm.lasts_for(OUTAGE_AFTER_MS).await {
        faults::outage(&stage.bank, OUTAGE_CALLS).await?;
        storm.lasts_for(OUTAGE_CALLS * LOOK_EVERY_MS).await;
        faults::begin(&stage.bank).await?;
    }
    while storm.lasts_for(1_000).await {}
    stage.bank.clear_faults().await
}

/// Jumps ahead each second. The database may be away: then the next second does it.
pub(super) async fn jump_ahead(stage: &Stage) {
    let step = TimeDelta::seconds(rand::random_range(CLOCK_STEP_SECS));
    let _ = stage.advance_clock(step).await;
}
