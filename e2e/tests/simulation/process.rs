//! A process in the middle of one job: it advances by whole messages, stands still where it is told to, and can die there.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::{
    bench::Host,
    gate::{Gate, Held},
    marks,
    wire::{Asking, Wire},
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

/// Who may hold a lock that a process waits for, and who can tell.
pub(crate) struct Others<'a> {
    pub(crate) busy: BTreeSet<i32>,
    pub(crate) desk: &'a PgPool,
}

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

pub(crate) struct Process {
    gate: Gate,
    wire: Wire,
    task: Task,
    bell: Arc<Bell>,
    /// Its statement that is with the database.
    asking: Option<Asking>,
    /// How its last statement that was answered begins.
    last: String,
}

enum Woken {
    Go,
    Statement,
    Request,
}

impl Process {
    pub(crate) fn begin(host: &Host, task: Task) -> Self {
        host.wire.hold(true);
        let (gate, wire) = (host.gate.clone(), host.wire.clone());
        Self { gate, wire, task, bell: Arc::new(Bell(Notify::new())), asking: None, last: String::new() }
    }

    /// Runs until so many statements have been answered and the next waits, or it stands at the gate, before a lock,
    /// or is done.
    pub(crate) async fn advance(&mut self, mut statements: u64, others: &Others<'_>) -> Stand {
        loop {
            if self.waits_for_a_lock(others).await {
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
                    self.asking = self.wire.pass();
                }
            }
        }
    }

    /// Comes when its statement has been answered, or when it is certain that it is not as long as the others stand still.
    pub(crate) async fn waits_for_a_lock(&mut self, others: &Others<'_>) -> bool {
        let Some(mut asking) = self.asking.take() else { return false };
        let mut patience = SUSPICION;
        loop {
            tokio::select! {
                biased;
                _ = &mut asking.answered => return false,
                () = tokio::time::sleep(patience), if !others.busy.is_empty() => {}
            }
            if others.block(asking.backend).await {
                self.asking = Some(asking);
                return true;
            }
            patience *= 2;
        }
    }

    /// Where it can be stopped for good: nothing of it waits inside the database.
    pub(crate) fn can_die(&self) -> bool {
        self.asking.is_none()
    }

    pub(crate) fn last(&self) -> &str {
        &self.last
    }

    /// The process is gone. `arrives`: a commit that it had just sent gets there all the same. Answers the request that
    /// was on its way to the gateway.
    pub(crate) async fn die(self, arrives: bool) -> Option<Held> {
        let Self { gate, wire, task, .. } = self;
        drop(task);
        if arrives
            && wire.holds_a_commit()
            && let Some(asking) = wire.pass()
        {
            asking.answered.await.ok();
        }
        wire.cut().await;
        gate.take()
    }

    async fn poll(&mut self) -> Poll<String> {
        let waker = Waker::from(self.bell.clone());
        marks::forget();
        let polled =
            poll_fn(|_| Poll::Ready(self.task.as_mut().poll(&mut Context::from_waker(&waker)))).await;
        if let Some(last) = marks::last() {
            self.last = last;
        }
        polled
    }

    async fn wait(&self) -> Woken {
        tokio::select! {
            biased;
            () = self.wire.arrival() => Woken::Statement,
            () = self.gate.arrival() => Woken::Request,
            () = self.bell.0.notified() => Woken::Go,
        }
    }
}

impl Others<'_> {
    /// Whether this backend waits for one of them.
    async fn block(&self, backend: i32) -> bool {
        let busy: Vec<i32> = self.busy.iter().copied().filter(|one| *one != backend).collect();
        let asked = sqlx::query_scalar("select pg_blocking_pids($1) && $2");
        asked.bind(backend).bind(busy).fetch_one(self.desk).await.unwrap()
    }
}
