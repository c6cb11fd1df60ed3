//! How often a worker asks PostgreSQL. A count, not a time: it fails when somebody adds a statement to the hot path.

use std::{sync::Arc, time::Duration};

use chrono::{Days, NaiveDate};
use common::clock::Clock;
use common::domain::calendar::{Cycle, seoul_date};
use e2e::bank::Bank;
use e2e::counting_proxy::CountingProxy;
use e2e::subscribers;
use sqlx::PgPool;
use testing::{free_address, until};

use crate::system::System;

const RENEWALS: u32 = 400;

/// A month before, or as near as the calendar allows: its second month has begun.
fn anchor(today: NaiveDate) -> NaiveDate {
    let mut anchor = today - Days::new(28);
    while Cycle::Monthly.period_start(anchor, 1).unwrap() > today {
        anchor = anchor.pred_opt().unwrap();
    }
    anchor
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_costs_few_round_trips(pool: PgPool) {
    let system = System::on_this_machines_time(pool).await;
    let bank = Arc::new(Bank::at(system.sandbox.url(), reqwest::Client::builder().build().unwrap()).unwrap());
    let all = subscribers::register(&bank, usize::try_from(RENEWALS).unwrap()).await.unwrap();
    let now = Clock::System.now();
    subscribers::insert(&system.pool, &all, anchor(seoul_date(now)), now).await.unwrap();
    let proxy = CountingProxy::before(&system.database_url()).await.unwrap();
    let worker = system
        .worker()
        .var("DATABASE_URL", proxy.over(&system.database_url()).unwrap())
        .var("BILLING_KEY_ENCRYPTION_KEYS", subscribers::SEALING_KEYS)
        .var("CLOCK", "system")
        .var("SCAN_CRON", "0 0 0 * * *")
        .var("CHARGE_CONCURRENCY", 32)
        .var("TOSS_MAX_RPS", 1_000_000);
    let mut worker = worker.start();
    until("all receipts to be sent", async || {
        let sent = "select 1 from emails having count(*) filter (where status = 'sent') = $1";
        sqlx::query(sent).bind(i64::from(RENEWALS)).fetch_optional(&system.pool).await.unwrap().map(|_| ())
    })
    .await;
    let passed = proxy.passed();
    let per_renewal = |count: u64| f64::from(u32::try_from(count).unwrap()) / f64::from(RENEWALS);
    // Measured: 15.0 round trips, of them 3.1 pings of the pool and 1.1 first uses of a statement on a connection, and 3.2
    // commits. Slow machines add the polls of an idle worker.
    assert!(per_renewal(passed.round_trips) <= 17.5, "{passed:?}: {}", per_renewal(passed.round_trips));
    assert!(per_renewal(passed.commits) <= 3.8, "{passed:?}: {}", per_renewal(passed.commits));
    println!(
        "per renewal: {:.1} round trips, {:.2} commits",
        per_renewal(passed.round_trips),
        per_renewal(passed.commits)
    );
    worker.terminate();
    assert!(worker.end().await.success());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_idle_worker_asks_seldom(pool: PgPool) {
    let system = System::on_this_machines_time(pool).await;
    let proxy = CountingProxy::before(&system.database_url()).await.unwrap();
    let address = free_address();
    let worker = system
        .worker()
        .var("DATABASE_URL", proxy.over(&system.database_url()).unwrap())
        .var("WORKER_ADDR", address)
        .var("CLOCK", "system");
    let _worker = worker.start();
    until("the daily run", async || {
        let done = "select 1 from jobs where kind = 'scan-due-subscriptions' and state = 'done'";
        sqlx::query(done).fetch_optional(&system.pool).await.unwrap().map(|_| ())
    })
    .await;
    // Long enough for a round of every background task. Counted is how often it asks, not how fast it is answered.
    let before = proxy.passed();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let asked = proxy.passed().round_trips - before.round_trips;
    assert!(asked <= 150, "{asked} round trips in 15 s");
    println!("{asked} round trips in 15 s");
}
