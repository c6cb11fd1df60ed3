//! The database away: what is running is kept, and the worker goes on by itself.

use std::time::Duration;

use queue::{KindConfig, QueueConfig};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use testing::eventually;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{Env, Process, WORK, Work, config, job, put, state, tries};

/// Ends every connection to this test's database but the one that does it: pool, listener, heartbeat.
async fn cut_all_connections(pool: &PgPool) {
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await.unwrap();
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&mut conn)
    .await
    .unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn cut_connections_drop_no_handler_and_the_worker_goes_on(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::started(&env);
    let running = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    for _ in 0..3 {
        cut_all_connections(&pool).await;
    }
    env.gate.add_permits(1);
    eventually("what was running is done", async || state(&pool, running).await == "done").await;
    let next = put(&pool, &job(&Work::Nothing)).await;
    eventually("new work is done", async || state(&pool, next).await == "done").await;
    let [row] = tries(&pool, running).await.try_into().unwrap();
    assert_eq!((row.attempt, row.crashes), (1, 0));
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_outcome_waits_for_a_database_that_refuses_it(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::started(&env);
    let running = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("lock table jobs in access exclusive mode").execute(&mut *lock).await.unwrap();
    env.gate.add_permits(1);
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                 and datname = current_database() and query like 'update jobs%set state%'";
    eventually("the outcome stands in line", async || {
        // Not in the locking transaction: it would see what it saw at first.
        sqlx::query_scalar::<_, i64>(waits).fetch_one(&pool).await.unwrap() > 0
    })
    .await;
    cut_all_connections(&pool).await;
    drop(lock);
    eventually("it is written at last", async || state(&pool, running).await == "done").await;
    process.stop().await;
}

/// The same database over a line whose connections fall silent, both ends open, when told to; later ones work.
async fn over_a_line_that_falls_silent(pool: &PgPool) -> (PgPool, watch::Sender<bool>) {
    let options = pool.connect_options();
    let server = (options.get_host().to_owned(), options.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (silence, silent) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = TcpStream::connect(server.clone()).await.unwrap();
            let mut silent = silent.clone();
            silent.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut upstream) => {}
                    Ok(()) = silent.changed() => std::future::pending::<()>().await,
                }
            });
        }
    });
    let options = options.as_ref().clone().host("127.0.0.1").port(port);
    let pool = PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_millis(500));
    (pool.connect_lazy_with(options), silence)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_server_that_is_gone_without_a_word_is_not_waited_for(pool: PgPool) {
    let (over_the_line, silence) = over_a_line_that_falls_silent(&pool).await;
    let env = Env::new(&over_the_line);
    // Longer than any statement takes on a busy machine: one that is given up may have claimed a job for a lease.
    let config = QueueConfig { answer_within: Duration::from_secs(2), ..config("worker") };
    let process = Process::start(&env, config, KindConfig::new(WORK));
    let running = put(&pool, &job(&Work::WaitAtGate)).await;
    env.has_started(1).await;
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("lock table jobs in access exclusive mode").execute(&mut *lock).await.unwrap();
    let waits = "select pid from pg_stat_activity where wait_event_type = 'Lock'
                 and datname = current_database() and query like '%skip locked%'";
    let mut claim = None;
    eventually("a claim stands in line", async || {
        claim = sqlx::query_scalar::<_, i32>(waits).fetch_optional(&pool).await.unwrap();
        claim.is_some()
    })
    .await;
    silence.send_replace(true);
    lock.rollback().await.unwrap();
    // The server carries the silenced claim out: what is put before its end is claimed by nobody who hears of it.
    let runs = "select count(*) from pg_stat_activity where pid = $1 and state = 'active'";
    eventually("the claim ends without an answer", async || {
        sqlx::query_scalar::<_, i64>(runs).bind(claim).fetch_one(&pool).await.unwrap() == 0
    })
    .await;
    let next = put(&pool, &job(&Work::Nothing)).await;
    eventually("new work is done", async || state(&pool, next).await == "done").await;
    env.gate.add_permits(1);
    eventually("what was running is done", async || state(&pool, running).await == "done").await;
    process.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_column_that_was_changed_under_the_worker_stops_nothing(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::started(&env);
    let before = put(&pool, &job(&Work::Nothing)).await;
    eventually("it is done", async || state(&pool, before).await == "done").await;
    // The claim's plan no longer fits what it returns.
    sqlx::raw_sql("alter table jobs alter column trace_context type varchar(90)")
        .execute(&pool)
        .await
        .unwrap();
    let after = put(&pool, &job(&Work::Nothing)).await;
    eventually("it is done, too", async || state(&pool, after).await == "done").await;
    process.stop().await;
}
