//! Stop: nothing new, what is running finishes, the rest goes back.

use std::time::Duration;

use queue::{KindConfig, OnStop};
use sqlx::PgPool;
use testing::eventually;

use crate::support::{Env, Process, WORK, Work, config, job, put, state, tries};

const AT_ONCE: Duration = Duration::from_millis(50);

#[sqlx::test(migrations = "../migrations")]
async fn a_stop_finishes_what_is_running_and_claims_nothing_new(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::start(&env, config("w"), KindConfig::new(WORK).concurrency(1));
    let running = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    let waiting = put(&pool, &job(&Work::Nothing)).await;
    let stopping = tokio::spawn(process.stop());
    tokio::task::yield_now().await;
    env.gate.add_permits(1);
    assert_eq!(stopping.await.unwrap().still_running, [0_i64; 0]);
    assert_eq!(state(&pool, running).await, "done");
    let [row] = tries(&pool, waiting).await.try_into().unwrap();
    assert_eq!((row.state.as_str(), row.started_at), ("available", None));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_handler_that_may_be_cut_off_is_and_its_job_goes_back(pool: PgPool) {
    let env = Env::new(&pool);
    let kind = KindConfig::new(WORK).on_stop(OnStop::HandBack);
    let process = Process::start_with_limit(&env, config("w"), kind, AT_ONCE);
    let id = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    assert_eq!(process.stop().await.still_running, [0_i64; 0]);
    let [row] = tries(&pool, id).await.try_into().unwrap();
    assert_eq!((row.state.as_str(), row.attempt, row.crashes), ("available", 1, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_handler_that_must_not_be_cut_off_keeps_its_lease(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::start_with_limit(&env, config("w"), KindConfig::new(WORK), AT_ONCE);
    let id = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    assert_eq!(process.stop().await.still_running, [id]);
    assert_eq!(state(&pool, id).await, "running");
    env.gate.add_permits(1);
    eventually("it finishes all the same", async || state(&pool, id).await == "done").await;
}
