//! The apalis backend: hands claimed jobs to a worker and never fails, because an error would end the worker.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::data::MissingDataError;
use apalis_core::task::from_request::FromRequest;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use futures::FutureExt;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::claimer::Claimer;
use super::in_hand::Slot;
use super::inbox::{Arrived, Inbox};
use super::run::fail_undecodable;
use super::service::JobLayer;
use crate::job::Lease;
use crate::policy::KindConfig;

/// One kind's jobs, decoded to `T`. Made by [`Queue::backend`](super::Queue::backend).
pub struct PgBackend<T> {
    shared: Arc<Shared>,
    config: Arc<KindConfig>,
    inbox: Arc<Inbox>,
    stop: CancellationToken,
    claimer: Option<JoinHandle<()>>,
    args: PhantomData<fn() -> T>,
}

impl<T> PgBackend<T> {
    pub(super) fn new(shared: Arc<Shared>, config: KindConfig) -> Self {
        let stop = shared.claiming.child_token();
        Self {
            shared,
            config: Arc::new(config),
            inbox: Arc::new(Inbox::open()),
            stop,
            claimer: None,
            args: PhantomData,
        }
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// At the first poll and not before: apalis builds workers that it may never run.
    fn start_claimer(&mut self, worker: &WorkerContext) {
        if self.claimer.is_none() {
            let claimer = Claimer {
                shared: self.shared.clone(),
                kind: self.config.kind,
                slots: Arc::new(Semaphore::new(self.config.concurrency.max(1))),
                inbox: self.inbox.clone(),
                worker: worker.clone(),
                bell: self.shared.wakeups.subscribe(self.config.kind),
                stop: self.stop.clone(),
            };
            self.claimer = Some(tokio::spawn(claimer.keep_claiming()));
        }
    }
}

impl<T: DeserializeOwned> PgBackend<T> {
    /// A payload that cannot be read fails its own job and nothing else.
    fn decode(&self, arrived: Arrived) -> Option<Task<T>> {
        let Arrived { args, in_hand } = arrived;
        match serde_json::from_value(args) {
            Ok(args) => {
                let lease = in_hand.lease.clone();
                let task = TaskBuilder::new(args)
                    // With the token, because a rescued job may come back while its old try still runs here.
                    .task_id(TaskId::from_string(format!("{}/{}", lease.id(), lease.token())))
                    .attempt(usize::try_from(lease.attempt()).unwrap_or_default())
                    .data(lease)
                    .data(Slot::new(in_hand))
                    .build();
                Some(task)
            }
            Err(error) => {
                fail_undecodable(in_hand, &self.config, &error);
                None
            }
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> Backend for PgBackend<T> {
    type Task = Task<T>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<T>, Infallible>>> {
        self.start_claimer(worker);
        loop {
            let arrived = ready!(self.inbox.poll_pop(cx));
            if let Some(task) = self.decode(arrived) {
                return Poll::Ready(Some(Ok(task)));
            }
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.stop.cancel();
        self.inbox.close();
        if let Some(claimer) = self.claimer.as_mut() {
            // However it ended, it claims no more.
            let _ = ready!(claimer.poll_unpin(cx));
            self.claimer = None;
        }
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
        &self.config
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> JobLayer {
        JobLayer::new(self.config.clone())
    }
}

impl<T> Drop for PgBackend<T> {
    fn drop(&mut self) {
        self.stop.cancel();
        self.inbox.close();
    }
}

impl<Args: Sync> FromRequest<Task<Args>> for Lease {
    type Error = MissingDataError;

    async fn from_request(task: &Task<Args>) -> Result<Self, MissingDataError> {
        task.data().get_checked().cloned()
    }
}
