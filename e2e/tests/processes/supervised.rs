//! What happens inside a process when a part of it fails: the part is started again, and the rest goes on.

use std::{fs::File, net::SocketAddr};

use chrono::TimeDelta;
use common::domain::subscription::SubscriptionStatus;
use common::jobs;
use common::jobs::ChargeSubscription;
use sqlx::PgPool;
use testing::{free_address, until};
use uuid::Uuid;

use crate::{program::ready, system::System};

async fn health(address: SocketAddr) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("http://{address}/healthz")).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

#[sqlx::test(migrations = "../migrations")]
async fn a_task_that_cannot_run_fails_the_health_check_only(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.order("ORDER_1").await;
    let address = free_address();
    let mut worker = system.worker().var("WORKER_ADDR", address).var("FAILPOINTS", "sweep=panic").start();
    let named = until("the health check to fail", async || {
        health(address).await.filter(|(status, _)| *status == 503).map(|(_, text)| text)
    })
    .await;
    assert!(named.contains("background task sweep cannot run: it panicked"), "{named}");
    until("the payment", async || system.is(id, SubscriptionStatus::Active).await.then_some(())).await;
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(r#"background_task_restarts_total{task="sweep",reason="panicked"}"#),
        "{metrics}"
    );
    worker.terminate();
    assert!(worker.end().await.success());
}

#[sqlx::test(migrations = "../migrations")]
async fn every_task_of_a_healthy_worker_runs(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let address = free_address();
    let _worker = system.worker().var("WORKER_ADDR", address).start();
    ready(address).await;
    let tasks = [
        "claimer",
        "completion batcher",
        "heartbeat",
        "listener",
        "rescuer",
        "clock follower",
        "scheduler",
        "sweep",
        "retention",
        "breaker follower",
        "metrics upkeep",
    ];
    until("every task to be up", async || {
        let metrics = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
        let up = |task: &&str| metrics.contains(&format!("background_task_up{{task=\"{task}\"}} 1"));
        tasks.iter().all(up).then_some(())
    })
    .await;
    assert_eq!(health(address).await, Some((200, "alive\n".to_owned())));
}

/// Pays, then stops, with standard error as given.
async fn pays_without_a_log(system: &System, order: &str, log: std::process::Stdio) {
    let id = system.order(order).await;
    let mut worker = system.worker().var("RUST_LOG", "debug").start_with_log(log);
    until("the payment", async || system.is(id, SubscriptionStatus::Active).await.then_some(())).await;
    worker.terminate();
    assert!(worker.end().await.success(), "{order}");
    assert_eq!(system.ledger(id).await.charges, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_whose_log_is_on_a_full_disk_works(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    pays_without_a_log(&system, "ORDER_FULL", full.into()).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_whose_log_is_a_closed_pipe_works(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    pays_without_a_log(&system, "ORDER_CLOSED", writer.into()).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_whose_log_nobody_reads_works(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let (reader, writer) = std::io::pipe().unwrap();
    pays_without_a_log(&system, "ORDER_UNREAD", writer.into()).await;
    drop(reader);
}

async fn open_breaker(system: &System, account: &str) {
    let open = "update gateway_breaker set failures = 10, open_until = case gateway when $1 then $2 end";
    let until = system.now() + TimeDelta::minutes(5);
    sqlx::query(open).bind(account).bind(until).execute(&system.pool).await.unwrap();
}

async fn sees_open_breaker(address: SocketAddr, account: &str) {
    until("the worker to see the breaker", async || {
        let metrics = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
        metrics.contains(&format!("billing_breaker_open{{account=\"{account}\"}} 1")).then_some(())
    })
    .await;
}

/// A job that finds nothing to charge once it is claimed.
async fn put_charge_job(system: &System, id: Uuid) -> i64 {
    let mut conn = system.pool.acquire().await.unwrap();
    let job = ChargeSubscription { invoice_id: Uuid::nil(), subscription_id: id, by_scan: false };
    jobs::enqueue(&mut conn, &job, system.now(), system.now()).await.unwrap().id()
}

async fn is_untouched(system: &System, job: i64) -> bool {
    let untouched = "select 1 from jobs where id = $1 and started_at is null and snoozes = 0";
    sqlx::query(untouched).bind(job).fetch_optional(&system.pool).await.unwrap().is_some()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_open_breaker_keeps_the_jobs_of_its_own_account(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let (first, other) = (system.order("ORDER_2").await, system.order("ORDER_3").await);
    let id = system.subscriber().await;
    open_breaker(&system, "billing").await;
    let address = free_address();
    let mut worker = system.worker().var("WORKER_ADDR", address).start();
    sees_open_breaker(address, "billing").await;
    // A claim that began before the breaker was seen has ended with this one.
    system.refund(first).await;
    until("the first refund", async || (system.ledger(first).await.cancels == 1).then_some(())).await;
    let charge = put_charge_job(&system, id).await;
    // The refund of a widget payment goes through, and shows that the worker has looked for jobs since.
    system.refund(id).await;
    until("the refund", async || (system.ledger(id).await.cancels == 1).then_some(())).await;
    assert!(is_untouched(&system, charge).await);

    open_breaker(&system, "widget").await;
    sees_open_breaker(address, "widget").await;
    system.refund(other).await;
    until("the charge job to run", async || (!is_untouched(&system, charge).await).then_some(())).await;
    let put_off = "select 1 from jobs where kind = 'refund-payment' and state = 'available' and snoozes = 1";
    until("the refund to be put off", async || {
        sqlx::query(put_off).fetch_optional(&system.pool).await.unwrap().map(drop)
    })
    .await;
    assert_eq!(system.ledger(other).await.cancels, 0);
    system.advance(TimeDelta::minutes(6)).await;
    until("the refund", async || (system.ledger(other).await.cancels == 1).then_some(())).await;
    worker.terminate();
    assert!(worker.end().await.success());
}
