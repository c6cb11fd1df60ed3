//! Drives the future of one job or request inside a simulated process. The future advances by whole statements, stops
//! where the simulation wants it to, and can be killed there.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::gateway_proxy::{GatewayProxy, PendingRequest};
use crate::postgres_proxy::{PostgresProxy, SentStatement};
use crate::statement_recorder;
use crate::testbed::SimProcess;

/// Time after which PostgreSQL is asked whether a statement waits for a lock.
const LOCK_CHECK_AFTER: Duration = Duration::from_millis(3);

/// Work of a process. Its output describes the result, for the trace.
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = String>>>;

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// Its next statement is pending.
    BetweenStatements,
    /// Its request to the gateway is pending.
    WaitingForGateway,
    /// Its statement waits for a lock of another process.
    WaitingForLock,
    /// Finished, with its output.
    Done(String),
}

/// The backends that may hold a lock, and a connection to ask PostgreSQL about them.
pub(crate) struct LockHolders<'a> {
    pub(crate) backends: BTreeSet<i32>,
    pub(crate) admin_pool: &'a PgPool,
}

/// Notifies the driver when the future wants to be polled.
struct TaskWaker(Notify);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

pub(crate) struct TaskDriver {
    gateway: GatewayProxy,
    postgres: PostgresProxy,
    task: TaskFuture,
    waker: Arc<TaskWaker>,
    /// The statement that the server executes.
    sent: Option<SentStatement>,
    /// How the last answered statement begins.
    last_statement: String,
}

enum WakeReason {
    Task,
    Statement,
    Request,
}

impl TaskDriver {
    pub(crate) fn start(process: &SimProcess, task: TaskFuture) -> Self {
        process.postgres.hold_statements(true);
        let (gateway, postgres) = (process.gateway.clone(), process.postgres.clone());
        Self {
            gateway,
            postgres,
            task,
            waker: Arc::new(TaskWaker(Notify::new())),
            sent: None,
            last_statement: String::new(),
        }
    }

    /// Releases at most `statements` statements. Stops earlier at a gateway request, at a lock, or when the task is done.
    pub(crate) async fn advance(&mut self, mut statements: u64, lock_holders: &LockHolders<'_>) -> TaskState {
        loop {
            if self.is_waiting_for_lock(lock_holders).await {
                return TaskState::WaitingForLock;
            }
            if let Poll::Ready(end) = self.poll().await {
                self.postgres.hold_statements(false);
                return TaskState::Done(end);
            }
            match self.wait().await {
                WakeReason::Task => {}
                WakeReason::Request => return TaskState::WaitingForGateway,
                WakeReason::Statement if statements == 0 => return TaskState::BetweenStatements,
                WakeReason::Statement => {
                    statements -= 1;
                    self.sent = self.postgres.release();
                }
            }
        }
    }

    /// Waits until the sent statement is answered (false) or is known to wait for a lock (true).
    pub(crate) async fn is_waiting_for_lock(&mut self, lock_holders: &LockHolders<'_>) -> bool {
        let Some(mut sent) = self.sent.take() else { return false };
        let mut wait = LOCK_CHECK_AFTER;
        loop {
            tokio::select! {
                biased;
                _ = &mut sent.answered => return false,
                () = tokio::time::sleep(wait), if !lock_holders.backends.is_empty() => {}
            }
            if lock_holders.are_blocking(sent.backend).await {
                self.sent = Some(sent);
                return true;
            }
            wait *= 2;
        }
    }

    /// Whether the task can be killed here: no statement of it waits inside the database.
    pub(crate) fn can_be_killed(&self) -> bool {
        self.sent.is_none()
    }

    pub(crate) fn last_statement(&self) -> &str {
        &self.last_statement
    }

    /// Kills the process. With `commit_arrives`, a COMMIT that it had just sent reaches the server. Returns its pending
    /// request to the gateway.
    pub(crate) async fn kill(self, commit_arrives: bool) -> Option<PendingRequest> {
        let Self { gateway, postgres, task, .. } = self;
        drop(task);
        if commit_arrives
            && postgres.is_holding_commit()
            && let Some(sent) = postgres.release()
        {
            sent.answered.await.ok();
        }
        postgres.disconnect().await;
        gateway.take()
    }

    async fn poll(&mut self) -> Poll<String> {
        let waker = Waker::from(self.waker.clone());
        statement_recorder::forget();
        let polled =
            poll_fn(|_| Poll::Ready(self.task.as_mut().poll(&mut Context::from_waker(&waker)))).await;
        if let Some(last_statement) = statement_recorder::last() {
            self.last_statement = last_statement;
        }
        polled
    }

    async fn wait(&self) -> WakeReason {
        tokio::select! {
            biased;
            () = self.postgres.statement_arrived() => WakeReason::Statement,
            () = self.gateway.request_arrived() => WakeReason::Request,
            () = self.waker.0.notified() => WakeReason::Task,
        }
    }
}

impl LockHolders<'_> {
    /// Whether `backend` waits for one of them.
    async fn are_blocking(&self, backend: i32) -> bool {
        let backends: Vec<i32> = self.backends.iter().copied().filter(|other| *other != backend).collect();
        let is_blocked = sqlx::query_scalar("select pg_blocking_pids($1) && $2");
        is_blocked.bind(backend).bind(backends).fetch_one(self.admin_pool).await.unwrap()
    }
}
