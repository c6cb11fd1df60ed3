//! A process in the middle of one job: it advances by whole messages, stands still where it is told to, and can die there.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::{Notify, oneshot};

use crate::{
    bench::Host,
    gate::{Gate, Held},
    wire::Wire,
};

/// How long a statement may take before the database is asked whether it waits for a lock.
const SUSPICION: Duration = Duration::from_millis(3);

pub(crate) type Task = Pin<Box<dyn Future<Output = String>>>;

/// Where a process has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Its next statement has not left yet.
    Between,
    /// Its request to the gateway waits at the gate.
    AtGate,
    /// Its statement waits for a lock that another process holds.
    Locked,
    /// Done; what came of it.
    Done(String),
}

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

pub(crate) struct Process {
    /// Its `application_name` in the database.
    name: String,
    pool: PgPool,
    gate: Gate,
    wire: Wire,
    task: Task,
    bell: Arc<Bell>,
    /// Its statement that is with the database: rings when it has been answered.
    asking: Option<oneshot::Receiver<()>>,
}

enum Woken {
    Go,
    Statement,
    Request,
}

impl Process {
    pub(crate) fn begin(host: &Host, task: Task) -> Self {
        host.wire.hold(true);
        Self {
            name: host.name.clone(),
            pool: host.pool.clone(),
            gate: host.gate.clone(),
            wire: host.wire.clone(),
            task,
            bell: Arc::new(Bell(Notify::new())),
            asking: None,
        }
    }

    /// Runs until so many statements have been answered and the next waits, or it stands at the gate, before a lock,
    /// or is done.
    pub(crate) async fn advance(&mut self, mut statements: u64, desk: &PgPool) -> Stand {
        loop {
            if let Some(mut answer) = self.asking.take()
                && !self.is_answered(&mut answer, desk).await
            {
                self.asking = Some(answer);
                return Stand::Locked;
            }
            if let Poll::Ready(end) = self.poll().await {
                self.wire.hold(false);
                return Stand::Done(end);
            }
            match self.wait().await {
                Woken::Go => {}
                Woken::Request => return Stand::AtGate,
                Woken::Statement if statements == 0 => return Stand::Between,
                Woken::Statement => {
                    statements -= 1;
                    self.asking = self.wire.pass(true);
                }
            }
        }
    }

    /// Where it can be stopped for good: nothing of it waits inside the database.
    pub(crate) fn can_die(&self) -> bool {
        self.asking.is_none()
    }

    /// The process is gone. `arrives`: what it had just sent to the database gets there all the same. Answers the
    /// request that was on its way to the gateway.
    pub(crate) async fn die(self, arrives: bool) -> Option<Held> {
        let Self { pool, gate, wire, task, .. } = self;
        wire.hold(false);
        drop(task);
        wire.pass(arrives);
        // The database notices, and rolls back.
        while usize::try_from(pool.size()).unwrap() > pool.num_idle() {
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
        gate.take()
    }

    async fn poll(&mut self) -> Poll<String> {
        let waker = Waker::from(self.bell.clone());
        poll_fn(|_| Poll::Ready(self.task.as_mut().poll(&mut Context::from_waker(&waker)))).await
    }

    async fn wait(&self) -> Woken {
        tokio::select! {
            biased;
            () = self.wire.arrival() => Woken::Statement,
            () = self.gate.arrival() => Woken::Request,
            () = self.bell.0.notified() => Woken::Go,
        }
    }

    /// False: it waits for a lock, and nobody knows for how long.
    async fn is_answered(&self, answer: &mut oneshot::Receiver<()>, desk: &PgPool) -> bool {
        loop {
            tokio::select! {
                biased;
                _ = &mut *answer => return true,
                () = tokio::time::sleep(SUSPICION) => {}
            }
            if self.waits_for_a_lock(desk).await {
                return false;
            }
        }
    }

    async fn waits_for_a_lock(&self, desk: &PgPool) -> bool {
        let asked = sqlx::query_scalar(
            "select exists (select from pg_stat_activity
                             where application_name = $1 and datname = current_database() and wait_event_type = 'Lock')",
        );
        asked.bind(&self.name).fetch_one(desk).await.unwrap()
    }
}
