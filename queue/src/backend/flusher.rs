//! Writes "done" outcomes and gives jobs back in batches: at once when idle, and whatever came meanwhile together.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::patience::until_written;
use crate::claim::release;
use crate::complete::{Completion, complete_many};

/// Something to write that can share a statement.
pub(crate) enum Outcome {
    /// A try is done; answered with whether that was written: `false` when it was fenced out.
    Done(Completion, oneshot::Sender<bool>),
    /// A try that did not run goes back.
    Release(i64, Uuid),
    /// Answered when all that was sent before is written.
    Barrier(oneshot::Sender<()>),
}

/// What one statement takes at most.
const BATCH: usize = 500;

/// Ends when the last sender is gone.
pub(crate) async fn flush(pool: PgPool, limit: Duration, mut outcomes: mpsc::UnboundedReceiver<Outcome>) {
    let mut gathered = Vec::with_capacity(BATCH);
    while outcomes.recv_many(&mut gathered, BATCH).await > 0 {
        let (mut done, mut answers, mut back, mut barriers) = (vec![], vec![], vec![], vec![]);
        for outcome in gathered.drain(..) {
            match outcome {
                Outcome::Done(completion, answer) => {
                    done.push(completion);
                    answers.push(answer);
                }
                Outcome::Release(id, token) => back.push((id, token)),
                Outcome::Barrier(answer) => barriers.push(answer),
            }
        }
        write_done(&pool, limit, &done, answers).await;
        give_back(&pool, limit, &back).await;
        for answer in barriers {
            let _ = answer.send(());
        }
    }
}

async fn write_done(
    pool: &PgPool,
    limit: Duration,
    done: &[Completion],
    answers: Vec<oneshot::Sender<bool>>,
) {
    if done.is_empty() {
        return;
    }
    let written = until_written("completing jobs", limit, || complete_many(pool, done)).await;
    let ours = written.unwrap_or_else(|error| {
        // The jobs run again when their leases run out; saying so is all that is left.
        tracing::error!(error = %error, jobs = done.len(), "done jobs could not be recorded");
        Vec::new()
    });
    let ours: std::collections::HashSet<i64> = ours.into_iter().collect();
    for (completion, answer) in done.iter().zip(answers) {
        let _ = answer.send(ours.contains(&completion.lease.id));
    }
}

async fn give_back(pool: &PgPool, limit: Duration, back: &[(i64, Uuid)]) {
    if back.is_empty() {
        return;
    }
    match until_written("giving jobs back", limit, || release(pool, back)).await {
        Ok(released) => tracing::info!(jobs = released, "gave back jobs that did not run"),
        Err(error) => tracing::error!(error = %error, jobs = back.len(), "jobs could not be given back"),
    }
}
