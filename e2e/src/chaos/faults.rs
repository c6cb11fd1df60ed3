//! The faults of a chaos run: workers, API and database are killed, the gateway fails, and the clock jumps.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::environment::Environment;
use super::options::ServerOptions;
use crate::bank::Bank;
use crate::process::{Process, Program};

/// The share of faulty answers.
const FAULTY: f64 = 0.25;
/// The delay of an answer: a fast card network, and long enough for a kill during the call.
const ANSWERS_AFTER_MS: u64 = 250;

const EFFECTS: [&str; 8] = [
    r#"{"effect":"approve_then_cut"}"#,
    r#"{"effect":"error_500_approved"}"#,
    r#"{"effect":"error_500_not_approved"}"#,
    r#"{"effect":"status_429"}"#,
    r#"{"effect":"status_409"}"#,
    r#"{"effect":"garbage"}"#,
    r#"{"effect":"answer_wrong_amount"}"#,
    r#"{"effect":"hang_then_approve","ms":1500,"answer":"late"}"#,
];

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
    begin_gateway_faults(&environment.bank).await?;
    if fault_run.continues_for(OUTAGE_AFTER_MS).await {
        begin_outage(&environment.bank, OUTAGE_CALLS).await?;
        fault_run.continues_for(OUTAGE_CALLS * CHECK_EVERY_MS).await;
        begin_gateway_faults(&environment.bank).await?;
    }
    while fault_run.continues_for(1_000).await {}
    environment.bank.clear_faults().await
}

/// Advances the clock. A database that is down is ignored: the next second advances it.
pub(super) async fn advance_clock_randomly(environment: &Environment) {
    let step = TimeDelta::seconds(rand::random_range(CLOCK_STEP_SECS));
    let _ = environment.advance_clock(step).await;
}

/// Replaces all faults by those of a chaos run.
async fn begin_gateway_faults(bank: &Bank) -> anyhow::Result<()> {
    bank.clear_faults().await?;
    bank.add_fault(&json!({ "effect": "lookup_404", "probability": 0.1, "times": null, "seed": 99 })).await?;
    // The sandbox takes the first fault that applies. With these chances, all eight together apply as often as `FAULTY`.
    let each = 1.0 - (1.0 - FAULTY).powf(1.0 / 8.0);
    for (seed, effect) in (1_u64..).zip(EFFECTS) {
        let mut fault: Value = serde_json::from_str(effect)?;
        if let Some(fields) = fault.as_object_mut() {
            fields.insert("probability".to_owned(), json!(each));
            fields.insert("times".to_owned(), Value::Null);
            fields.insert("seed".to_owned(), json!(seed));
        }
        bank.add_fault(&fault).await?;
    }
    bank.add_fault(&json!({ "effect": "delay", "ms": ANSWERS_AFTER_MS, "times": null })).await
}

/// Answers this many calls with errors, which opens the breaker.
async fn begin_outage(bank: &Bank, calls: u64) -> anyhow::Result<()> {
    bank.clear_faults().await?;
    bank.add_fault(&json!({ "effect": "error_500_not_approved", "times": calls })).await
}
