//! The queue as it is used: enqueued in batches, run through apalis, one transaction per job or none of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::ensure;
use apalis::prelude::{Data, Monitor, WorkerBuilder};
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::queue::{
    CHANNEL, Finish, JobError, KindConfig, Lease, NewJob, Queue, QueueConfig, Ran, claim, enqueue,
    enqueue_many,
};
use common::store;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::database::Database;

use super::figure::{Figure, Unit};
use super::latency::Samples;
use super::pgbench;
use super::pgbench::{Load, Pgbench};

const KIND: &str = "bench";
const ENQUEUED: u32 = 100_000;
const BATCH: usize = 5_000;
const CLAIMED_AT_ONCE: u32 = 100;
const IN_A_TRANSACTION: u32 = 15_000;
const IN_A_TRANSACTION_AT_ONCE: usize = 32;
const IDLE_JOBS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);
const STOP_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    /// Done is written together with others'.
    Nothing,
    /// Done is written in a transaction of its own, as an effect would be.
    OwnTransaction,
    /// Says when it has started.
    Tell,
}

#[derive(Clone)]
struct Env {
    pool: PgPool,
    left: Arc<AtomicU32>,
    all_done: Arc<tokio::sync::Notify>,
    started: mpsc::UnboundedSender<Instant>,
}

fn now() -> DateTime<Utc> {
    Clock::System.now()
}

async fn handle(work: Work, lease: Lease, env: Data<Env>) -> Result<Ran, JobError> {
    let ran = match work {
        Work::Nothing => Finish::Done(None).into(),
        Work::OwnTransaction => {
            let tx = env.pool.begin().await?;
            lease.commit(tx, Finish::Done(None), now()).await?.into()
        }
        Work::Tell => {
            let _ = env.started.send(Instant::now());
            Finish::Done(None).into()
        }
    };
    if env.left.fetch_sub(1, Relaxed) == 1 {
        env.all_done.notify_one();
    }
    Ok(ran)
}

/// One process's part in the queue, as in the worker.
struct Worker {
    env: Env,
    starts: mpsc::UnboundedReceiver<Instant>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Worker {
    /// Expects this many jobs and no more.
    fn start(database: &Database, concurrency: usize, jobs: u32) -> anyhow::Result<Self> {
        let connections = u32::try_from(concurrency.min(IN_A_TRANSACTION_AT_ONCE))?.saturating_add(8);
        let pool = store::pool(&SecretString::from(database.url.as_str()), connections)?;
        let config = QueueConfig::new("bench", Arc::new(now), Arc::new(|| 0.5));
        let queue = Queue::start(pool.clone(), config);
        let (started, starts) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let left = Arc::new(AtomicU32::new(jobs));
        let env = Env { pool, left, all_done: Arc::default(), started };
        let (runs, given) = (queue.clone(), env.clone());
        let ended = tokio::spawn(async move {
            let monitor = Monitor::new().register(move |_| {
                let backend = queue.backend::<Work>(KindConfig::new(KIND).concurrency(concurrency));
                WorkerBuilder::new(KIND).backend(backend).data(given.clone()).build(handle)
            });
            let signal = async {
                let _ = stopped.await;
            };
            let stopped = runs.run(monitor, signal, STOP_WITHIN).await?;
            ensure!(stopped.still_running.is_empty(), "jobs were still running at the end");
            Ok(())
        });
        Ok(Self { env, starts, stop, ended })
    }

    /// Ends when every outcome is written.
    async fn end(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.ended.await??;
        self.env.pool.close().await;
        Ok(())
    }
}

/// All figures of the queue, in the order in which they are shown, on a database of their own.
pub(super) async fn measure(server: &Url, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_queue", 40).await?;
    let (pool, pgbench) = (&database.pool, Pgbench::on(&database.url, folder)?);
    let enqueued = put(pool, Work::Nothing, ENQUEUED).await?;
    let mut figures = vec![
        Figure::seconds("enqueue 100,000 jobs, 5,000 at a time", enqueued).against(&bare_insert(pool).await?),
    ];
    let limit = batched_limit(pool, &pgbench).await?;
    for concurrency in [50, 200, 500] {
        clear(pool).await?;
        put(pool, Work::Nothing, ENQUEUED).await?;
        let took = run(&database, concurrency, ENQUEUED).await?;
        let what = format!("run jobs, batched, {concurrency} at once");
        figures.push(Figure::rate(&what, ENQUEUED, took).against(&limit));
    }
    let limit = one_by_one_limit(pool, &pgbench).await?;
    clear(pool).await?;
    put(pool, Work::OwnTransaction, IN_A_TRANSACTION).await?;
    let took = run(&database, IN_A_TRANSACTION_AT_ONCE, IN_A_TRANSACTION).await?;
    let what = "run jobs, one transaction each, 32 at once";
    figures.push(Figure::rate(what, IN_A_TRANSACTION, took).against(&limit));
    clear(pool).await?;
    let (limits, waits) = (idle_limit(pool).await?, idle(&database).await?);
    for percent in [50, 99] {
        let what = format!("idle: enqueue → start, p{percent}");
        let limit = format!("PostgreSQL: insert, notify, bare claim, p{percent}");
        let limit = Figure::of(&limit, Unit::Milliseconds, limits.percentile_ms(percent));
        figures.push(Figure::of(&what, Unit::Milliseconds, waits.percentile_ms(percent)).against(&limit));
    }
    database.remove(server).await?;
    Ok(figures)
}

/// The same rows as one statement writes them that reads them from beside.
async fn bare_insert(pool: &PgPool) -> anyhow::Result<Figure> {
    let columns = "kind, args, subject, run_at, due_at, priority, max_attempts, created_at";
    execute(pool, &format!("create table staged as select {columns} from jobs")).await?;
    clear(pool).await?;
    let begun = Instant::now();
    execute(pool, &format!("insert into jobs ({columns}) select {columns} from staged")).await?;
    let took = begun.elapsed();
    execute(pool, "drop table staged").await?;
    Ok(Figure::seconds("PostgreSQL: INSERT … SELECT of the same rows", took))
}

async fn execute(pool: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(pool).await?;
    Ok(())
}

async fn batched_limit(pool: &PgPool, pgbench: &Pgbench) -> anyhow::Result<Figure> {
    clear(pool).await?;
    put(pool, Work::Nothing, ENQUEUED).await?;
    execute(pool, "vacuum analyze jobs").await?;
    let script = format!(
        "with claimed as ({}) select coalesce(array_agg(id), '{{}}')::text as ids, coalesce(array_agg(token), '{{}}')::text \
         as tokens from claimed \\gset\n\
         update jobs set state = 'done', note = null, finished_at = now(), lease_token = null, lease_until = null \
         from unnest(:ids::bigint[], :tokens::uuid[]) as c (id, token) \
         where jobs.id = c.id and jobs.lease_token = c.token;\n",
        pgbench::claim(KIND, CLAIMED_AT_ONCE)
    );
    let load = Load { clients: 8, transactions: ENQUEUED / CLAIMED_AT_ONCE / 8 };
    let batches = pgbench.run("batched", &script, load).await?;
    // A claim that met others' locks may have taken fewer.
    let done: i64 =
        sqlx::query_scalar("select count(*) from jobs where state = 'done'").fetch_one(pool).await?;
    let rate = batches * f64::from(u32::try_from(done)?) / f64::from(load.clients * load.transactions);
    Ok(Figure::per_second("PostgreSQL: claim 100, complete 100, 8 clients", rate))
}

async fn one_by_one_limit(pool: &PgPool, pgbench: &Pgbench) -> anyhow::Result<Figure> {
    clear(pool).await?;
    put(pool, Work::Nothing, IN_A_TRANSACTION).await?;
    execute(pool, "vacuum analyze jobs").await?;
    let script = format!(
        "with claimed as ({}) select id, token from claimed \\gset\n\
         begin;\n\
         update jobs set state = 'done', last_error = coalesce(null, last_error), note = null, finished_at = now(), \
         lease_token = null, lease_until = null where id = :id::bigint and lease_token = :token::uuid;\n\
         commit;\n",
        pgbench::claim(KIND, 1)
    );
    let load = Load { clients: 32, transactions: IN_A_TRANSACTION / 32 - 10 };
    let rate = pgbench.run("one-by-one", &script, load).await?;
    Ok(Figure::per_second("PostgreSQL: claim, complete: 2 commits, 32 clients", rate))
}

/// From sending the INSERT to the answer of a claim that a NOTIFY woke, on two connections.
async fn idle_limit(pool: &PgPool) -> anyhow::Result<Samples> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    let (mut enqueuing, mut claiming) = (pool.acquire().await?, pool.acquire().await?);
    let job = NewJob::new(KIND, serde_json::to_value(Work::Tell)?, now());
    let mut samples = Samples::default();
    for _ in 0..IDLE_JOBS {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        let (enqueued, claimed) = tokio::join!(enqueue(&mut enqueuing, &job, now()), async {
            listener.recv().await?;
            anyhow::Ok(claim(&mut *claiming, &[KIND], 1, Duration::from_mins(1), "bare", now()).await?)
        });
        samples.add(begun.elapsed());
        enqueued?;
        ensure!(claimed?.len() == 1, "the bare claim found nothing");
    }
    clear(pool).await?;
    Ok(samples)
}

async fn put(pool: &PgPool, work: Work, count: u32) -> anyhow::Result<Duration> {
    let job = NewJob::new(KIND, serde_json::to_value(work)?, now()).subject(json!({ "bench": 1 }));
    let batch = vec![job; BATCH];
    let begun = Instant::now();
    let mut left = usize::try_from(count)?;
    while let Some(jobs) = batch.get(..left.min(BATCH)).filter(|jobs| !jobs.is_empty()) {
        let mut tx = pool.begin().await?;
        enqueue_many(&mut tx, jobs, now()).await?;
        tx.commit().await?;
        left = left.saturating_sub(jobs.len());
    }
    Ok(begun.elapsed())
}

async fn clear(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::query("truncate jobs").execute(pool).await?;
    Ok(())
}

/// From the start of a worker until every outcome is on disk.
async fn run(database: &Database, concurrency: usize, jobs: u32) -> anyhow::Result<Duration> {
    let pool = &database.pool;
    sqlx::query("vacuum analyze jobs").execute(pool).await?;
    let begun = Instant::now();
    let worker = Worker::start(database, concurrency, jobs)?;
    worker.env.all_done.notified().await;
    worker.end().await?;
    let took = begun.elapsed();
    let done: i64 =
        sqlx::query_scalar("select count(*) from jobs where state = 'done'").fetch_one(pool).await?;
    ensure!(done == i64::from(jobs), "{done} of {jobs} jobs are done");
    Ok(took)
}

/// From sending the INSERT of one job to its handler's first line, with nothing else to do.
async fn idle(database: &Database) -> anyhow::Result<Samples> {
    let pool = &database.pool;
    let mut worker = Worker::start(database, 10, IDLE_JOBS)?;
    let job = NewJob::new(KIND, serde_json::to_value(Work::Tell)?, now());
    let mut samples = Samples::default();
    let mut conn = pool.acquire().await?;
    for _ in 0..IDLE_JOBS {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        enqueue(&mut conn, &job, now()).await?;
        if let Some(started) = worker.starts.recv().await {
            samples.add(started.duration_since(begun));
        }
    }
    worker.end().await?;
    Ok(samples)
}
