//! Ten thousand jobs through four processes, two of which die: each is recorded done, exactly once.

use std::time::Duration;

use queue::{KindConfig, QueueConfig, enqueue_many};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use testing::eventually;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Env, Process, WORK, Work, config, job, t0};

const JOBS: i64 = 10_000;

/// A process with threads, connections and leases of its own.
fn process(pool: &PgPool, worker: &str) -> (Runtime, Process) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let own = PgPoolOptions::new();
    let process = {
        let _inside = runtime.enter();
        let env =
            Env::new(&own.max_connections(4).connect_lazy_with(pool.connect_options().as_ref().clone()));
        let quick = QueueConfig { lease: Duration::from_secs(2), ..config(worker) };
        Process::start(&env, quick, KindConfig::new(WORK).concurrency(50))
    };
    (runtime, process)
}

async fn count(pool: &PgPool, condition: &str) -> i64 {
    let count = format!("select count(*) from jobs where {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn ten_thousand_jobs_are_done_once_though_processes_die(pool: PgPool) {
    // Every "done" ever written, whoever wrote it.
    sqlx::raw_sql(
        "create table endings (id bigint);
         create function note_ending() returns trigger language plpgsql as
             $$ begin insert into endings values (new.id); return null; end $$;
         create trigger note_ending after update on jobs for each row when (new.state = 'done')
             execute function note_ending();",
    )
    .execute(&pool)
    .await
    .unwrap();
    let jobs = vec![job(&Work::Nothing); 10_000];
    enqueue_many(&mut pool.acquire().await.unwrap(), &jobs, t0()).await.unwrap();
    let mut processes: Vec<_> = (0..4).map(|n| process(&pool, &format!("process {n}"))).collect();
    for share in [4, 2] {
        eventually("some are done", async || count(&pool, "state = 'done'").await > JOBS / share / 2).await;
        let (runtime, _dies) = processes.remove(0);
        // Drops its tasks wherever they are: nothing is given back.
        runtime.shutdown_background();
    }
    eventually("all are done", async || count(&pool, "state = 'done'").await == JOBS).await;
    let endings: (i64, i64) =
        sqlx::query_as("select count(*), count(distinct id) from endings").fetch_one(&pool).await.unwrap();
    assert_eq!(endings, (JOBS, JOBS));
    assert_eq!(count(&pool, "crashes > 1 or attempt > 1").await, 0);
    for (runtime, process) in processes {
        assert_eq!(process.stop().await.still_running, [0_i64; 0]);
        runtime.shutdown_background();
    }
}
