//! Chaos with real processes: processes and the database are killed and the gateway fails while customers are charged.
//! Then the faults end, the work settles, and our ledger is compared with the gateway's.

mod environment;
mod faults;
mod figures;
mod ledger_check;
mod options;
mod signups;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{self, JobFilter, JobState};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use url::Url;

use environment::Environment;
use faults::FaultRun;

pub use figures::Figures;
pub use options::Options;

const STEP: Duration = Duration::from_secs(1);
/// While work settles, look-ups are hours apart.
const SETTLE_CLOCK_STEP: TimeDelta = TimeDelta::minutes(8);

/// Runs chaos once. Fails only when the run could not be carried out; violations are in the figures.
pub async fn run(options: &Options, server: &Url) -> anyhow::Result<Figures> {
    eprintln!("Writing {} due subscriptions", options.subscriptions);
    let environment = Arc::new(Environment::prepare(options, server).await?);
    let fault_run = Arc::new(FaultRun::default());
    let workers = tokio::spawn(faults::keep_killing_workers(environment.workers.clone(), fault_run.clone()));
    let api = tokio::spawn(faults::keep_killing_api(environment.api.clone(), fault_run.clone()));
    let others = [
        tokio::spawn(faults::keep_crashing_database(options.server.clone(), fault_run.clone())),
        tokio::spawn(faults::inject_gateway_faults(environment.clone(), fault_run.clone())),
        tokio::spawn(signups::keep_signing_up(environment.clone(), fault_run.clone())),
    ];
    let begun = Instant::now();
    let limit = Duration::from_secs(options.seconds);
    let failed_early =
        || workers.is_finished() || api.is_finished() || others.iter().any(JoinHandle::is_finished);
    inject_faults(&environment, limit, failed_early).await;
    fault_run.end();
    let fault_time = begun.elapsed();
    let (workers, api) = (workers.await??, api.await??);
    let settle_since = Instant::now();
    for other in others {
        other.await??;
    }
    settle(&environment, &fault_run, limit.saturating_sub(begun.elapsed())).await?;
    let times = figures::Times { faults: fault_time, settle: settle_since.elapsed() };
    // The processes run until the work has settled.
    for mut process in workers.into_iter().chain([api]) {
        process.kill().await?;
    }
    let ledger = environment.bank.ledger().await?;
    let mail = options.folder.join("mail");
    let figures = Figures::of(&environment.pool, &ledger, &fault_run.tally, &times, &mail).await?;
    Ok(Figures { due_subscriptions: options.subscriptions, ..figures })
}

/// Lets the faults run for at least a quarter of the time limit and until every due subscription was tried, at most half.
async fn inject_faults(environment: &Environment, limit: Duration, failed_early: impl Fn() -> bool) {
    let begun = Instant::now();
    let mut due = i64::MAX;
    while begun.elapsed() < limit / 2 && (begun.elapsed() < limit / 4 || due > 0) && !failed_early() {
        faults::advance_clock_randomly(environment).await;
        tokio::time::sleep(STEP).await;
        // The database may be down at this moment.
        if let Ok(remaining) = remaining_work(environment).await {
            due = remaining.due;
            eprintln!(
                "faults, {:>3} s: {due} still to charge, {} unfinished",
                begun.elapsed().as_secs(),
                remaining.unfinished
            );
        }
    }
}

/// Waits until no work remains, or the time is up.
async fn settle(environment: &Environment, fault_run: &FaultRun, limit: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        let unparked = retry_parked_jobs(&environment.pool, environment.now().await?).await?;
        fault_run.tally.unparked.fetch_add(unparked, Relaxed);
        let remaining = remaining_work(environment).await?;
        if remaining.is_none() {
            return Ok(());
        }
        eprintln!(
            "settling, {:>3} s: {} still to charge, {} unfinished, {} jobs",
            begun.elapsed().as_secs(),
            remaining.due,
            remaining.unfinished,
            remaining.jobs
        );
        environment.advance_clock(SETTLE_CLOCK_STEP).await?;
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}

async fn remaining_work(environment: &Environment) -> anyhow::Result<RemainingWork> {
    RemainingWork::now(&environment.pool, environment.now().await?).await
}

/// Later than any look-up, earlier than the next day's retry of a declined card.
const SOON: TimeDelta = TimeDelta::hours(12);

/// Work that remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
struct RemainingWork {
    due: i64,
    unfinished: i64,
    jobs: i64,
}

impl RemainingWork {
    async fn now(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let remaining = sqlx::query_as(
            "select (select count(*) from subscriptions where status = 'active' and next_billing_date <= $1) as due,
                    (select count(*) from payments
                      where status in ('pending', 'unknown') and review_since is null) as unfinished,
                    (select count(*) from jobs
                      where state in ('running', 'parked') or (state = 'available' and run_at < $2)) as jobs",
        );
        Ok(remaining.bind(now).bind(now + SOON).fetch_one(pool).await?)
    }

    fn is_none(self) -> bool {
        (self.due, self.unfinished, self.jobs) == (0, 0, 0)
    }
}

/// Retries every parked job, as `billing jobs retry` does. Returns their number.
async fn retry_parked_jobs(pool: &PgPool, now: DateTime<Utc>) -> anyhow::Result<u64> {
    let mut tx = pool.begin().await?;
    let parked = JobFilter { state: Some(JobState::Parked), ..JobFilter::default() };
    let parked = queue::list(&mut tx, &parked).await?;
    for job in &parked {
        queue::retry_now(&mut tx, job.id, now, "chaos").await.context("a parked job could not be retried")?;
    }
    tx.commit().await?;
    Ok(u64::try_from(parked.len()).unwrap_or_default())
}
