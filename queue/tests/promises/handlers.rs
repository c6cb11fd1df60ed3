//! Handlers under apalis: panics, bad payloads, timeouts, blocking, own transactions, promptness.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use queue::{KindConfig, NewJob, QueueConfig, caused_by, enqueue, rescue};
use serde_json::json;
use sqlx::{ConnectOptions, PgPool};
use testing::eventually;
use tokio_util::sync::CancellationToken;

use crate::support::{Env, MINUTE, Process, WORK, Work, after, config, job, put, state, t0, tries};

async fn reaches(pool: &PgPool, id: i64, wanted: &str) {
    eventually(&format!("job {id} is {wanted}"), async || state(pool, id).await == wanted).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_panic_fails_its_own_try_only(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::started(&env);
    let neighbour = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    let panics = put(&pool, &job(&Work::Panic)).await;
    let breaks = put(&pool, &job(&Work::Break)).await;
    reaches(&pool, panics, "failed").await;
    reaches(&pool, breaks, "failed").await;
    env.gate.add_permits(1);
    reaches(&pool, neighbour, "done").await;
    let tries = tries(&pool, panics).await;
    assert_eq!(tries[0].last_error.as_deref(), Some("panicked: on purpose"));
    // Full jitter of 0.5 of 5 s.
    assert_eq!((tries[1].attempt, tries[1].run_at), (2, t0() + chrono::TimeDelta::milliseconds(2_500)));
    assert_eq!(process.stop().await.still_running, [0_i64; 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_undecodable_payload_fails_its_own_job_with_the_reason(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::start(&env, config("w"), KindConfig::new(WORK).concurrency(1));
    let bad = put(&pool, &NewJob::new(WORK, json!({"no such work": 1}), t0())).await;
    let good = put(&pool, &job(&Work::Nothing)).await;
    reaches(&pool, good, "done").await;
    reaches(&pool, bad, "failed").await;
    let [row] = tries(&pool, bad).await.try_into().unwrap();
    let error = row.last_error.unwrap();
    assert!(error.starts_with("the args do not decode: unknown variant `no such work`"), "{error}");
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_handler_that_takes_too_long_is_dropped_and_tried_again(pool: PgPool) {
    let env = Env::new(&pool);
    let kind = KindConfig::new(WORK).timeout(Duration::from_millis(50));
    let process = Process::start(&env, config("w"), kind);
    let id = put(&pool, &job(&Work::WaitAtGate)).await;
    reaches(&pool, id, "failed").await;
    let tries = tries(&pool, id).await;
    assert_eq!((tries.len(), tries[0].last_error.as_deref()), (2, Some("timed out after 0.05 s")));
    process.stop().await;
}

/// Another process that looks for expired leases all the time, on a thread of its own; answers how many it took.
fn greedy_rescuer(pool: &PgPool, until: CancellationToken) -> JoinHandle<usize> {
    let options = pool.connect_options();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut conn = options.connect().await.unwrap();
            let mut rescued = 0;
            while !until.is_cancelled() {
                rescued += rescue(&mut conn, MINUTE, 9).await.unwrap().len();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            rescued
        })
    })
}

#[sqlx::test(migrations = "../migrations")]
async fn handlers_that_block_every_thread_do_not_delay_the_heartbeat(pool: PgPool) {
    let env = Env::new(&pool);
    let short = QueueConfig { lease: Duration::from_millis(900), ..config("w") };
    let process = Process::start(&env, short, KindConfig::new(WORK));
    let over = CancellationToken::new();
    let rescuer = greedy_rescuer(&pool, over.clone());
    // The runtime of this test has one thread, and this holds it for more than two leases.
    let id = put(&pool, &job(&Work::Block { millis: 2_000 })).await;
    reaches(&pool, id, "done").await;
    over.cancel();
    let [row] = tries(&pool, id).await.try_into().unwrap();
    assert_eq!((rescuer.join().unwrap(), row.crashes), (0, 0));
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_handler_commits_its_effect_with_the_outcome(pool: PgPool) {
    sqlx::query("create table effects (id bigint primary key)").execute(&pool).await.unwrap();
    let env = Env::new(&pool);
    let process = Process::started(&env);
    let effect = put(&pool, &job(&Work::Effect)).await;
    let snoozed = put(&pool, &job(&Work::Snooze)).await;
    reaches(&pool, effect, "done").await;
    eventually("put off", async || tries(&pool, snoozed).await[0].snoozes == 1).await;
    let [row] = tries(&pool, snoozed).await.try_into().unwrap();
    assert_eq!((row.state.as_str(), row.attempt, row.run_at), ("available", 1, after(3_600)));
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_made_by_a_job_carries_what_caused_the_first(pool: PgPool) {
    let (env, cause) = (Env::new(&pool), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let first = caused_by(Some(cause.to_owned()), async { job(&Work::MakeAnother) }).await;
    put(&pool, &first).await;
    let process = Process::start(&env, config("w"), KindConfig::new(WORK));
    eventually("both have run", async || {
        let causes: Vec<Option<String>> =
            sqlx::query_scalar("select trace_context from jobs where state = 'done'")
                .fetch_all(&pool)
                .await
                .unwrap();
        causes == [Some(cause.to_owned()), Some(cause.to_owned())]
    })
    .await;
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn never_more_handlers_at_once_than_the_kind_allows(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::start(&env, config("w"), KindConfig::new(WORK).concurrency(2));
    for _ in 0..5 {
        put(&pool, &job(&Work::WaitAtGate)).await;
    }
    env.has_started(2).await;
    let claimed: i64 = sqlx::query_scalar("select count(*) from jobs where state = 'running'")
        .fetch_one(&pool)
        .await
        .unwrap();
    // No prefetch: what has no slot is not claimed.
    assert_eq!((claimed, env.started.available_permits()), (2, 0));
    env.gate.add_permits(5);
    env.has_started(3).await;
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_idle_worker_starts_a_job_at_its_notify(pool: PgPool) {
    let env = Env::new(&pool);
    let asleep = QueueConfig { poll_interval: Duration::from_mins(10), ..config("w") };
    let process = Process::start(&env, asleep, KindConfig::new(WORK));
    // The first one may still be found by the claim at start; the others find the worker idle.
    for _ in 0..20 {
        put(&pool, &job(&Work::Nothing)).await;
        env.has_started(1).await;
    }
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_finds_its_jobs_by_polling_without_notify(pool: PgPool) {
    sqlx::raw_sql(
        "create or replace function announce(channel text, payload text) returns text language sql as 'select null::text'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let env = Env::new(&pool);
    let process = Process::started(&env);
    for _ in 0..3 {
        let id = put(&pool, &job(&Work::Nothing)).await;
        env.has_started(1).await;
        reaches(&pool, id, "done").await;
    }
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_clock_that_was_moved_starts_what_became_due(pool: PgPool) {
    let moved = Arc::new(AtomicI64::new(0));
    let clock = moved.clone();
    let jumping = QueueConfig {
        now: Arc::new(move || after(clock.load(Ordering::SeqCst))),
        poll_interval: Duration::from_mins(10),
        ..config("w")
    };
    let env = Env::new(&pool);
    let process = Process::start(&env, jumping, KindConfig::new(WORK));
    put(&pool, &job(&Work::Nothing)).await;
    env.has_started(1).await;
    let in_a_month = NewJob { run_at: after(31 * 86_400), ..job(&Work::Nothing) };
    enqueue(&mut pool.acquire().await.unwrap(), &in_a_month, t0()).await.unwrap();
    moved.store(31 * 86_400, Ordering::SeqCst);
    process.queue.wake();
    env.has_started(1).await;
    process.stop().await;
}
