//! The faults of a chaos run: workers, API and database are killed, the gateway fails, and the clock jumps.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::TimeDelta;

use super::{environment::Environment, gateway_faults, options::ServerOptions};
use crate::process::{Process, Program};

const KILL_EVERY_MS: Range<u64> = 1_000..2_000;
const KILL_API_EVERY_MS: Range<u64> = 7_000..12_000;
/// Longer than a lease: the jobs of killed workers are rescued only one lease after the database has started.
const CRASH_DATABASE_EVERY_MS: Range<u64> = 20_000..45_000;
const FIRST_DATABASE_CRASH_MS: u64 = 8_000;
const OUTAGE_AFTER_MS: u64 = 15_000;
const OUTAGE_CALLS: u64 = 40;
const CHECK_EVERY_MS: u64 = 50;
/// The clock jumps so far each second: look-ups are minutes apart, and a payment must be confirmed within ten.
const CLOCK_STEP_SECS: Range<i64> = 10..40;

/// Counts of what was done to the system.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) worker_kills: AtomicU64,
    pub(super) api_kills: AtomicU64,
    pub(super) database_crashes: AtomicU64,
    pub(super) signed_up: AtomicU64,
    pub(super) unparked: AtomicU64,
    /// Processes that exited without being killed.
    pub(super) exited: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct FaultRun {
    over: AtomicBool,
    pub(super) tally: Tally,
}

impl FaultRun {
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// Waits. Returns false when the faults ended meanwhile.
    async fn continues_for(&self, milliseconds: u64) -> bool {
        for _ in 0..milliseconds / CHECK_EVERY_MS {
            if self.is_over() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(CHECK_EVERY_MS)).await;
        }
        !self.is_over()
    }
}

/// Kills a random worker and starts it again, until the faults end. Returns the processes, all of them running.
pub(super) async fn keep_killing_workers(
    programs: Vec<Program>,
    fault_run: Arc<FaultRun>,
) -> anyhow::Result<Vec<Process>> {
    let mut running = programs.iter().map(Program::start).collect::<anyhow::Result<Vec<_>>>()?;
    while fault_run.continues_for(rand::random_range(KILL_EVERY_MS)).await {
        let victim = rand::random_range(0..programs.len());
        for (number, (program, process)) in programs.iter().zip(&mut running).enumerate() {
            if process.has_exited()? {
                fault_run.tally.exited.fetch_add(1, Relaxed);
                *process = program.start()?;
            } else if number == victim {
                process.kill().await?;
                fault_run.tally.worker_kills.fetch_add(1, Relaxed);
                *process = program.start()?;
            }
        }
    }
    Ok(running)
}

pub(super) async fn keep_killing_api(program: Program, fault_run: Arc<FaultRun>) -> anyhow::Result<Process> {
    let mut running = program.start()?;
    while fault_run.continues_for(rand::random_range(KILL_API_EVERY_MS)).await {
        if running.has_exited()? {
            fault_run.tally.exited.fetch_add(1, Relaxed);
        } else {
            running.kill().await?;
            fault_run.tally.api_kills.fetch_add(1, Relaxed);
        }
        running = program.start()?;
    }
    Ok(running)
}

pub(super) async fn keep_crashing_database(
    server: ServerOptions,
    fault_run: Arc<FaultRun>,
) -> anyhow::Result<()> {
    let mut pause = FIRST_DATABASE_CRASH_MS;
    while fault_run.continues_for(pause).await {
        server.crash_and_restart().await?;
        fault_run.tally.database_crashes.fetch_add(1, Relaxed);
        pause = rand::random_range(CRASH_DATABASE_EVERY_MS);
    }
    Ok(())
}

/// Makes the gateway answer faultily all the time, and once with errors only.
pub(super) async fn inject_gateway_faults(
    environment: Arc<Environment>,
    fault_run: Arc<FaultRun>,
) -> anyhow::Result<()> {
    gateway_faults::begin(&environment.bank).await?;
    if fault_run.continues_for(OUTAGE_AFTER_MS).await {
        gateway_faults::outage(&environment.bank, OUTAGE_CALLS).await?;
        fault_run.continues_for(OUTAGE_CALLS * CHECK_EVERY_MS).await;
        gateway_faults::begin(&environment.bank).await?;
    }
    while fault_run.continues_for(1_000).await {}
    environment.bank.clear_faults().await
}

/// Advances the clock. A database that is down is ignored: the next second advances it.
pub(super) async fn advance_clock_randomly(environment: &Environment) {
    let step = TimeDelta::seconds(rand::random_range(CLOCK_STEP_SECS));
    let _ = environment.advance_clock(step).await;
}
