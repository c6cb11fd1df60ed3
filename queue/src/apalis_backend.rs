//! The adapter to apalis: the only file of this crate that knows it.
//!
//! apalis calls handlers with what they ask for, and stops its workers in order. Claiming, leases, outcomes and retries
//! are the queue's own. Five hops carry a job from the claimer to its handler and its outcome back:
//!
//! ```text
//!   claimer                                     claim.sql: one statement for all kinds
//!     │  ClaimedJob: args, lease, slot
//!     ▼
//!   LocalKind's buffer                          one per kind
//!     │
//!     ▼  PgBackend::poll_next                   decodes the args; what does not decode fails its own job
//!   apalis worker                               its poll loop; an error or `None` here would end the worker
//!     │  Task<Args> with the Lease, and the job in a JobCell
//!     ▼  JobService::call                       takes the job out of the cell, calls the handler under catch_unwind
//!   handler (lease, data, …) → future           apalis gathers its arguments
//!     │
//!     ▼  execute::run on a task of its own      time limit, cut-off; one blocked handler holds up no other
//!   answer → completion batcher, or finish_in   the outcome is on record before the slot is free
//! ```
//!
//! The cell exists because apalis wants task data that can be cloned, and a job must be run by one holder only. The
//! spawned task exists because apalis polls all handlers of a worker on one task, and drops them when the worker ends.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::layers::{Layer, Service};
use apalis_core::monitor::{Monitor, MonitorError};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::data::MissingDataError;
use apalis_core::task::from_request::FromRequest;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::error::JobError;
use crate::execute;
use crate::execute::{Context, fail_undecodable};
use crate::job::Lease;
use crate::local_kind::{ClaimedJob, LocalKind};
use crate::policy::KindConfig;
use crate::process::{Queue, Stopped};
use crate::running_job::RunningJob;
use crate::settle::Ran;

impl Queue {
    /// The source of one kind's jobs for an apalis worker; jobs are claimed from its first poll on.
    pub fn backend<T>(&self, config: KindConfig) -> PgBackend<T> {
        let kind = Arc::new(LocalKind::new(config));
        self.alive.add_kind(kind.clone());
        PgBackend { queue: self.clone(), kind, args: PhantomData }
    }

    /// Runs the workers until `signal`, then stops within about `limit`: claims nothing new, finishes what is running,
    /// gives back the rest.
    ///
    /// Give the monitor no shutdown timeout of its own: with one, apalis hides the death of a worker.
    ///
    /// # Errors
    /// A worker ended by itself; the others were stopped like at a signal.
    pub async fn run(
        &self,
        monitor: Monitor,
        signal: impl Future<Output = ()>,
        limit: Duration,
    ) -> Result<Stopped, MonitorError> {
        let workers = monitor.context();
        let mut running = pin!(monitor.should_restart(|_, _| true).run());
        let ended = tokio::select! {
            ended = &mut running => Some(ended),
            () = signal => None,
        };
        let until = Instant::now() + limit;
        self.stop_claiming();
        if ended.is_none() {
            workers.shutdown()?;
            // Handlers run on tasks of their own and outlive this.
            let _ = timeout_at(until, &mut running).await;
        }
        let stopped = self.wind_up(until).await;
        ended.unwrap_or(Ok(())).map(|()| stopped)
    }
}

/// One kind's jobs, decoded to `T`. Made by [`Queue::backend`]. It never fails: an error would end the worker.
pub struct PgBackend<T> {
    queue: Queue,
    kind: Arc<LocalKind>,
    args: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> PgBackend<T> {
    /// A payload that cannot be read fails its own job and nothing else.
    fn decode(&self, job: ClaimedJob) -> Option<Task<T>> {
        let ClaimedJob { args, running } = job;
        match serde_json::from_value(args) {
            Ok(args) => {
                let lease = running.lease.clone();
                let task = TaskBuilder::new(args)
                    // With the token, because a rescued job may come back while its old try still runs here.
                    .task_id(TaskId::from_string(format!("{}/{}", lease.id(), lease.token())))
                    .attempt(usize::try_from(lease.attempt()).unwrap_or_default())
                    .data(lease)
                    .data(JobCell::new(running))
                    .build();
                Some(task)
            }
            Err(error) => {
                fail_undecodable(running, self.context(), &error);
                None
            }
        }
    }
}

impl<T> PgBackend<T> {
    fn context(&self) -> Context {
        Context { alive: self.queue.alive.clone(), config: self.kind.config.clone() }
    }
}

impl<T: DeserializeOwned + Send + 'static> Backend for PgBackend<T> {
    type Task = Task<T>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut TaskContext<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<T>, Infallible>>> {
        loop {
            let (job, is_first_poll) = self.kind.poll_next(cx);
            if is_first_poll {
                self.queue.wake();
            }
            if let Some(task) = self.decode(ready!(job)) {
                return Poll::Ready(Some(Ok(task)));
            }
        }
    }

    fn poll_close(&mut self, _: &mut TaskContext<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.kind.close();
        Poll::Ready(Ok(()))
    }
}

impl<T> BackendConfig for PgBackend<T> {
    type Args = T;
    type Id = i64;
    type Kind = Ephemeral;
    type Config = KindConfig;
    type Layer = JobLayer;

    fn config(&self) -> &KindConfig {
        &self.kind.config
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> JobLayer {
        JobLayer { context: self.context() }
    }
}

impl<T> Drop for PgBackend<T> {
    fn drop(&mut self) {
        self.kind.close();
    }
}

/// Carries a job through apalis's task data, which must be clonable; only the first taker gets it.
#[derive(Clone)]
struct JobCell(Arc<Mutex<Option<RunningJob>>>);

impl JobCell {
    fn new(running: RunningJob) -> Self {
        Self(Arc::new(Mutex::new(Some(running))))
    }

    fn take(&self) -> Option<RunningJob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Wraps a handler in a [`JobService`].
#[derive(Clone)]
pub struct JobLayer {
    context: Context,
}

impl<S> Layer<S> for JobLayer {
    type Service = JobService<S>;

    fn layer(&self, inner: S) -> JobService<S> {
        JobService { inner, context: self.context.clone() }
    }
}

/// Runs each job on a spawned task of its own, which outlives the worker, and writes its outcome: no fault of a handler
/// reaches apalis's worker loop.
#[derive(Clone)]
pub struct JobService<S> {
    inner: S,
    context: Context,
}

impl<S, T> Service<Task<T>> for JobService<S>
where
    S: Service<Task<T>, Response = Ran>,
    S::Error: Into<BoxDynError> + 'static,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<T>) -> Self::Future {
        let Some(mut running) = task.data().get::<JobCell>().and_then(JobCell::take) else {
            // A layer that calls the handler twice: the first call answers for the job.
            return futures::future::ok(()).boxed();
        };
        running.start();
        let span = execute::span(&running.lease, self.context.config.kind);
        let called = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| self.inner.call(task))));
        let called = called.map(|handler| async { handler.await.map_err(JobError::new) });
        let tracker = self.context.alive.tracker(self.context.config.on_stop).clone();
        let ended = tracker.spawn(execute::run(running, self.context.clone(), called).instrument(span));
        async move {
            // Its outcome is written by now; how the task ended says nothing more.
            let _ = ended.await;
            Ok(())
        }
        .boxed()
    }
}

impl<Args: Sync> FromRequest<Task<Args>> for Lease {
    type Error = MissingDataError;

    async fn from_request(task: &Task<Args>) -> Result<Self, MissingDataError> {
        task.data().get_checked().cloned()
    }
}
