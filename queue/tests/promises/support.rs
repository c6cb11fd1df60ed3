//! One kind of job whose args say what its handler shall do, and a process that runs it.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Data, Monitor, WorkerBuilder};
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use queue::{
    Claimed, Finish, JobError, JobRow, KindConfig, Lease, NewJob, Queue, QueueConfig, Ran, Stopped, claim,
    enqueue, show,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) const WORK: &str = "work";
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// The application's clock: it stands still unless a test says otherwise.
pub(crate) fn t0() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 31, 0, 0, 0).unwrap()
}

pub(crate) fn after(seconds: i64) -> DateTime<Utc> {
    t0() + TimeDelta::seconds(seconds)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    Nothing,
    /// Waits for a permit of the test's gate.
    WaitAtGate,
    /// Holds up the thread it runs on, as no handler should.
    Block {
        millis: u64,
    },
    Panic,
    Break,
    Snooze,
    /// Writes its own id as an effect, in one transaction with "done".
    Effect,
    /// Makes another job, in one transaction with "done".
    MakeAnother,
}

pub(crate) fn job(work: &Work) -> NewJob {
    NewJob::new(WORK, serde_json::to_value(work).unwrap(), t0())
}

pub(crate) async fn put(pool: &PgPool, job: &NewJob) -> i64 {
    let mut conn = pool.acquire().await.unwrap();
    enqueue(&mut conn, job, t0()).await.unwrap().id()
}

pub(crate) async fn claim_one(pool: &PgPool, lease: Duration, now: DateTime<Utc>) -> Claimed {
    claim(pool, &[WORK], 1, lease, "by hand", now).await.unwrap().pop().expect("a job is due")
}

/// All tries of the job, first to last.
pub(crate) async fn tries(pool: &PgPool, id: i64) -> Vec<JobRow> {
    show(&mut pool.acquire().await.unwrap(), id).await.unwrap()
}

pub(crate) async fn state(pool: &PgPool, id: i64) -> String {
    tries(pool, id).await.into_iter().find(|row| row.id == id).unwrap().state
}

/// Fails instead of hanging when something waits for a lock that it should have skipped.
pub(crate) async fn at_once<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), work).await.expect("it waits for nobody")
}

#[derive(Clone)]
pub(crate) struct Env {
    pub(crate) pool: PgPool,
    /// Closed at first.
    pub(crate) gate: Arc<Semaphore>,
    /// One permit for each handler that was started.
    pub(crate) started: Arc<Semaphore>,
}

impl Env {
    pub(crate) fn new(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), gate: Arc::new(Semaphore::new(0)), started: Arc::new(Semaphore::new(0)) }
    }

    pub(crate) async fn has_started(&self, handlers: u32) {
        let all = self.started.acquire_many(handlers);
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("handlers start").unwrap().forget();
    }
}

pub(crate) async fn handle(work: Work, lease: Lease, env: Data<Env>) -> Result<Ran, JobError> {
    env.started.add_permits(1);
    match work {
        Work::Nothing => Ok(Finish::Done(None).into()),
        Work::WaitAtGate => {
            env.gate.acquire().await?.forget();
            Ok(Finish::Done(Some("passed the gate".to_owned())).into())
        }
        Work::Block { millis } => {
            std::thread::sleep(Duration::from_millis(millis));
            Ok(Finish::Done(None).into())
        }
        Work::Panic => panic!("on purpose"),
        Work::Break => Err(JobError::new("the machinery broke")),
        Work::Snooze => {
            Ok(Finish::Snooze { reason: "the bank is closed".to_owned(), run_at: after(3_600) }.into())
        }
        Work::Effect => {
            let mut tx = env.pool.begin().await?;
            sqlx::query("insert into effects values ($1)").bind(lease.id()).execute(&mut *tx).await?;
            Ok(lease.commit(tx, Finish::Done(None), t0()).await?.into())
        }
        Work::MakeAnother => {
            let mut tx = env.pool.begin().await?;
            enqueue(&mut tx, &job(&Work::Nothing), t0()).await?;
            Ok(lease.commit(tx, Finish::Done(None), t0()).await?.into())
        }
    }
}

pub(crate) fn config(worker: &str) -> QueueConfig {
    QueueConfig {
        poll_interval: Duration::from_millis(200),
        ..QueueConfig::new(worker, Arc::new(t0), Arc::new(|| 0.5))
    }
}

/// A worker process, as far as one test process can hold it.
pub(crate) struct Process {
    pub(crate) queue: Queue,
    env: Env,
    signal: oneshot::Sender<()>,
    ended: JoinHandle<Stopped>,
}

impl Process {
    pub(crate) fn start(env: &Env, config: QueueConfig, kind: KindConfig) -> Self {
        Self::start_with_limit(env, config, kind, Duration::from_secs(20))
    }

    pub(crate) fn start_with_limit(
        env: &Env,
        config: QueueConfig,
        kind: KindConfig,
        limit: Duration,
    ) -> Self {
        let queue = Queue::start(env.pool.clone(), config);
        let (signal, signalled) = oneshot::channel::<()>();
        let (runs, backends, given) = (queue.clone(), queue.clone(), env.clone());
        let ended = tokio::spawn(async move {
            let monitor = Monitor::new().register(move |_| {
                WorkerBuilder::new("work")
                    .backend(backends.backend::<Work>(kind.clone()))
                    .data(given.clone())
                    .build(handle)
            });
            let signal = async {
                let _ = signalled.await;
            };
            runs.run(monitor, signal, limit).await.unwrap()
        });
        Self { queue, env: env.clone(), signal, ended }
    }

    /// Runs a second kind beside, until aborted.
    pub(crate) fn run_also(&self, kind: &'static str) -> JoinHandle<()> {
        let (queue, env) = (self.queue.clone(), self.env.clone());
        tokio::spawn(async move {
            let monitor = Monitor::new().register(move |_| {
                WorkerBuilder::new(kind)
                    .backend(queue.backend::<Work>(KindConfig::new(kind)))
                    .data(env.clone())
                    .build(handle)
            });
            monitor.run().await.unwrap();
        })
    }

    pub(crate) fn started(env: &Env) -> Self {
        Self::start(env, config("worker"), KindConfig::new(WORK))
    }

    pub(crate) async fn stop(self) -> Stopped {
        let _ = self.signal.send(());
        self.ended.await.unwrap()
    }
}
