//! Writes "done" outcomes and gives jobs back in batches: at once when idle, and whatever came meanwhile together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::claim::release;
use crate::complete::{Completion, complete_many};
use crate::error::QueueError;
use crate::own_connection::OwnConnection;
use crate::retry::pauses;
use crate::supervisor::Progress;

/// Something to write that can share a statement.
pub(crate) enum Outcome {
    /// A try is done; answered with whether that was written: `false` when it was fenced out. Dropped unanswered when the
    /// batcher was started again: then it is sent once more.
    Done(Completion, oneshot::Sender<bool>),
    /// A try that did not run goes back.
    Release(i64, Uuid),
    /// Answered when all that was sent before is written.
    Barrier(oneshot::Sender<()>),
}

/// What one statement takes at most.
const BATCH: usize = 500;
/// How often an idle batcher says that it is alive.
const IDLE_MARK: Duration = Duration::from_secs(5);

/// Outlives a restart of the batcher, with all that waits in it.
pub(crate) type Arriving = Arc<Mutex<mpsc::UnboundedReceiver<Outcome>>>;

/// Ends when the last sender is gone.
pub(crate) async fn run(pool: PgPool, limit: Duration, arriving: Arriving, progress: Progress) {
    let mut arriving = arriving.lock().await;
    let mut writer = Writer { conn: OwnConnection::new(&pool, limit), progress };
    let mut gathered = Vec::with_capacity(BATCH);
    loop {
        writer.progress.mark();
        match tokio::time::timeout(IDLE_MARK, arriving.recv_many(&mut gathered, BATCH)).await {
            Ok(0) => return,
            Ok(_) => writer.write(&mut gathered).await,
            Err(_idle) => {}
        }
    }
}

struct Writer {
    conn: OwnConnection,
    progress: Progress,
}

impl Writer {
    async fn write(&mut self, gathered: &mut Vec<Outcome>) {
        let (mut done, mut answers, mut released, mut barriers) = (vec![], vec![], vec![], vec![]);
        for outcome in gathered.drain(..) {
            match outcome {
                Outcome::Done(completion, answer) => {
                    done.push(completion);
                    answers.push(answer);
                }
                Outcome::Release(id, token) => released.push((id, token)),
                Outcome::Barrier(answer) => barriers.push(answer),
            }
        }
        self.complete(&done, answers).await;
        self.release(&released).await;
        for answer in barriers {
            let _ = answer.send(());
        }
    }

    async fn complete(&mut self, done: &[Completion], answers: Vec<oneshot::Sender<bool>>) {
        if done.is_empty() {
            return;
        }
        let written = self.until_written("completing jobs", Batch::Done(done)).await;
        let written: HashSet<i64> = written
            .unwrap_or_else(|error| {
                // The jobs run again when their leases run out.
                tracing::error!(error = %error, jobs = done.len(), "done jobs could not be recorded");
                Vec::new()
            })
            .into_iter()
            .collect();
        for (completion, answer) in done.iter().zip(answers) {
            let _ = answer.send(written.contains(&completion.lease.id));
        }
    }

    async fn release(&mut self, leases: &[(i64, Uuid)]) {
        if leases.is_empty() {
            return;
        }
        match self.until_written("giving jobs back", Batch::Released(leases)).await {
            Ok(_) => tracing::info!(jobs = leases.len(), "gave back jobs that did not run"),
            Err(error) => {
                tracing::error!(error = %error, jobs = leases.len(), "jobs could not be given back");
            }
        }
    }

    /// Written twice, the second is fenced out.
    async fn until_written(&mut self, what: &'static str, batch: Batch<'_>) -> Result<Vec<i64>, QueueError> {
        let mut pauses = pauses();
        loop {
            match self.conn.with(async |conn| batch.write(conn).await).await {
                Err(error) if !error.is_permanent() => {
                    let pause = pauses.next().unwrap_or_default();
                    tracing::warn!(error = %error, pause_ms = pause.as_millis(), "the database is away: {what} waits");
                    self.progress.mark();
                    tokio::time::sleep(pause).await;
                }
                ended => return ended,
            }
        }
    }
}

/// What one statement writes.
#[derive(Clone, Copy)]
enum Batch<'a> {
    Done(&'a [Completion]),
    Released(&'a [(i64, Uuid)]),
}

impl Batch<'_> {
    /// Returns the ids of the done jobs that were still ours.
    async fn write(self, conn: &mut PgConnection) -> Result<Vec<i64>, QueueError> {
        match self {
            Self::Done(done) => complete_many(conn, done).await,
            Self::Released(leases) => release(conn, leases).await.map(|_| Vec::new()),
        }
    }
}
