//! The layer around every handler: keeps each fault away from apalis's worker loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::error::BoxDynError;
use apalis_core::layers::{Layer, Service};
use apalis_core::task::Task;
use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::Instrument;

use super::in_hand::Slot;
use super::run;
use crate::policy::KindConfig;
use crate::settle::Ran;

/// Wraps a handler in a [`JobService`].
#[derive(Debug, Clone)]
pub struct JobLayer {
    config: Arc<KindConfig>,
}

impl JobLayer {
    pub(super) fn new(config: Arc<KindConfig>) -> Self {
        Self { config }
    }
}

impl<S> Layer<S> for JobLayer {
    type Service = JobService<S>;

    fn layer(&self, inner: S) -> JobService<S> {
        JobService { inner, config: self.config.clone() }
    }
}

/// Runs each job on a spawned task of its own, which outlives the worker, and writes its outcome.
#[derive(Debug, Clone)]
pub struct JobService<S> {
    inner: S,
    config: Arc<KindConfig>,
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<T>) -> Self::Future {
        let Some(mut in_hand) = task.data().get::<Slot>().and_then(Slot::take) else {
            // A layer that calls the handler twice: the first call answers for the job.
            return futures::future::ok(()).boxed();
        };
        in_hand.start();
        let span = run::span(&in_hand.lease, self.config.kind);
        let called = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| self.inner.call(task))));
        let tracker = in_hand.tracker(self.config.on_stop).clone();
        let ended = tracker.spawn(run::run(in_hand, self.config.clone(), called).instrument(span));
        async move {
            // Its outcome is written by now; how the task ended says nothing more.
            let _ = ended.await;
            Ok(())
        }
        .boxed()
    }
}
