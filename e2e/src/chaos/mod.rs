//! Chaos with real processes: everything dies, the bank lies, and afterwards the books are compared.

mod books;
mod calm;
mod faults;
mod figures;
mod newcomers;
mod options;
mod server;
mod stage;
mod storm;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use url::Url;

pub use figures::Figures;
pub use options::Options;

use calm::Left;
use chrono::TimeDelta;
use stage::Stage;
use storm::Storm;

const STEP: Duration = Duration::from_secs(1);
/// In the calm: look-ups are hours apart by then.
const CALM_CLOCK_STEP: TimeDelta = TimeDelta::minutes(8);

/// One whole run. Fails when it could not be carried out; what it found is in the figures.
pub async fn run(options: &Options, server: &Url) -> anyhow::Result<Figures> {
    eprintln!("Writing {} due subscriptions", options.subscriptions);
    let stage = Arc::new(Stage::set(options, server).await?);
    let storm = Arc::new(Storm::default());
    let workers = tokio::spawn(storm::keep_killing_workers(stage.workers.clone(), storm.clone()));
    let api = tokio::spawn(storm::keep_killing_api(stage.api.clone(), storm.clone()));
    let others = [
        tokio::spawn(storm::keep_crashing_database(options.server.clone(), storm.clone())),
        tokio::spawn(storm::keep_lying(stage.clone(), storm.clone())),
        tokio::spawn(newcomers::keep_coming(stage.clone(), storm.clone())),
    ];
    let begun = Instant::now();
    let limit = Duration::from_secs(options.seconds);
    let failed_early =
        || workers.is_finished() || api.is_finished() || others.iter().any(JoinHandle::is_finished);
    rage(&stage, limit, failed_early).await;
    storm.end();
    let blown = begun.elapsed();
    let (workers, api) = (workers.await??, api.await??);
    let calm_since = Instant::now();
    for other in others {
        other.await??;
    }
    settle(&stage, &storm, limit.saturating_sub(begun.elapsed())).await?;
    let times = figures::Times { storm: blown, calm: calm_since.elapsed() };
    // They run until the end, or nothing would settle.
    for mut process in workers.into_iter().chain([api]) {
        process.kill().await?;
    }
    let ledger = stage.bank.ledger().await?;
    let mail = options.folder.join("mail");
    let figures = Figures::of(&stage.pool, &ledger, &storm.tally, &times, &mail).await?;
    Ok(Figures { due_subscriptions: options.subscriptions, ..figures })
}

/// At least a quarter of the time, and until everybody was charged; at most half of it.
async fn rage(stage: &Stage, limit: Duration, failed_early: impl Fn() -> bool) {
    let begun = Instant::now();
    let mut due = i64::MAX;
    while begun.elapsed() < limit / 2 && (begun.elapsed() < limit / 4 || due > 0) && !failed_early() {
        storm::jump_ahead(stage).await;
        tokio::time::sleep(STEP).await;
        // The database may be away just now.
        if let Ok(left) = look(stage).await {
            due = left.due;
            eprintln!(
                "storm, {:>3} s: {due} still to charge, {} unsettled",
                begun.elapsed().as_secs(),
                left.unsettled
            );
        }
    }
}

/// Until nothing is left to do, or the time is up.
async fn settle(stage: &Stage, storm: &Storm, limit: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        let unparked = calm::unpark(&stage.pool, stage.now().await?).await?;
        storm.tally.unparked.fetch_add(unparked, Relaxed);
        let left = look(stage).await?;
        if left.is_nothing() {
            return Ok(());
        }
        eprintln!(
            "calm, {:>3} s: {} still to charge, {} unsettled, {} jobs left",
            begun.elapsed().as_secs(),
            left.due,
            left.unsettled,
            left.jobs
        );
        stage.advance_clock(CALM_CLOCK_STEP).await?;
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}

async fn look(stage: &Stage) -> anyhow::Result<Left> {
    Left::now(&stage.pool, stage.now().await?).await
}
