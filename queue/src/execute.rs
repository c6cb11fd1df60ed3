//! One job from start to written outcome: panics, time limit, cut-off at a stop, retries while the database is away.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use crate::complete::Completion;
use crate::completion_batcher::Outcome;
use crate::error::{JobError, QueueError};
use crate::finish::{Finish, Finished};
use crate::job::Lease;
use crate::policy::{KindConfig, OnStop};
use crate::retry::until_written;
use crate::running_job::RunningJob;
use crate::settle::{Answer, Ran, read_answer};
use crate::shared::Alive;
use crate::supervisor::panic_message;
use crate::task_context::{Hold, caused_by};

/// What a running job needs of its process.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) alive: Arc<Alive>,
    pub(crate) config: Arc<KindConfig>,
}

pub(crate) fn span(lease: &Lease, kind: &'static str) -> Span {
    tracing::info_span!(
        "job",
        job.id = lease.id(),
        job.kind = kind,
        job.attempt = lease.attempt(),
        job.root = lease.root_id(),
        trace.parent = lease.trace_context()
    )
}

enum Ended {
    Answered(Result<Ran, JobError>),
    CutOff,
}

/// Runs a handler that was called, and writes what came of it.
pub(crate) async fn run<F>(running: RunningJob, context: Context, called: std::thread::Result<F>)
where
    F: Future<Output = Result<Ran, JobError>>,
{
    let kind = context.config.kind;
    metrics::counter!("queue_jobs_started_total", "kind" => kind).increment(1);
    let started = Instant::now();
    let ended = match called {
        Ok(handler) => watch(handler, &running, &context).await,
        Err(panic) => Ended::Answered(Err(panicked(panic.as_ref()))),
    };
    metrics::histogram!("queue_job_seconds", "kind" => kind).record(started.elapsed());
    match ended {
        Ended::Answered(answer) => record(running, &context, answer).await,
        Ended::CutOff => {
            count(kind, "handed_back");
            running.release();
        }
    }
}

/// A handler without a time limit that keeps its lease at a stop is dropped by nothing.
async fn watch<F>(handler: F, running: &RunningJob, context: &Context) -> Ended
where
    F: Future<Output = Result<Ran, JobError>>,
{
    let config = &context.config;
    let hold = Hold::default();
    let handler = caused_by(running.lease.trace_context().map(str::to_owned), hold.clone().scope(handler));
    let too_long = async {
        match config.timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
        if hold.is_on() {
            std::future::pending::<()>().await;
        }
    };
    let cut_off = async {
        match config.on_stop {
            OnStop::HandBack => context.alive.hand_back.cancelled().await,
            OnStop::KeepLease => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        answer = AssertUnwindSafe(handler).catch_unwind() => Ended::Answered(match answer {
            Ok(answer) => answer,
            Err(panic) => Err(panicked(panic.as_ref())),
        }),
        () = too_long => Ended::Answered(Err(JobError::new(format!(
            "timed out after {} s",
            config.timeout.unwrap_or_default().as_secs_f64()
        )))),
        () = cut_off => Ended::CutOff,
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> JobError {
    JobError::new(format!("panicked: {}", panic_message(panic)))
}

/// Fails a job whose payload does not decode; decoding it again would not help.
pub(crate) fn fail_undecodable(mut running: RunningJob, context: Context, error: &serde_json::Error) {
    running.start();
    let answer = Ok(Ran::Finish(Finish::Fail(format!("the args do not decode: {error}"))));
    let span = span(&running.lease, context.config.kind);
    let tracker = context.alive.tracker(context.config.on_stop).clone();
    tracker.spawn(async move { record(running, &context, answer).await }.instrument(span));
}

/// Writes the outcome; the slot and the lease are held until that is done.
async fn record(running: RunningJob, context: &Context, answer: Result<Ran, JobError>) {
    let Context { alive, config } = context;
    if let Err(error) = &answer {
        tracing::warn!(error = %error, "the handler broke");
    }
    let now = alive.now();
    let jitter = (alive.config.jitter)();
    let written = match read_answer(&running.lease, answer, config.backoff, now, jitter) {
        Answer::Written(finished) => Ok(finished),
        Answer::Unwritten(Finish::Done(note)) => complete(&running, alive, note).await,
        Answer::Unwritten(finish) => {
            until_written("recording an outcome", alive.config.answer_within, || async {
                let mut conn = alive.pool.acquire().await?;
                let finished = running.lease.finish_in(&mut conn, finish.clone(), now).await;
                if finished.is_err() {
                    // Its next use could fail the same way, with a plan from before a table was changed, for example.
                    conn.close_on_drop();
                }
                finished
            })
            .await
        }
    };
    match written {
        Ok(finished) => {
            count(config.kind, finished.as_str());
            tracing::debug!(outcome = finished.as_str(), "job ended");
        }
        // Also after an outcome whose confirmation was lost: then it stands, written before.
        Err(QueueError::LeaseLost(_)) => {
            count(config.kind, "fenced");
            tracing::warn!("the lease is gone: this try's outcome was not written by this call");
        }
        Err(error) => {
            count(config.kind, "unrecorded");
            tracing::error!(error = %error, "the outcome was refused: the job is rescued when its lease runs out");
        }
    }
}

async fn complete(running: &RunningJob, alive: &Alive, note: Option<String>) -> Result<Finished, QueueError> {
    let completion = Completion { lease: running.lease.clone(), note, finished_at: alive.now() };
    loop {
        let (answer, written) = oneshot::channel();
        let sent = alive.keeper.outcomes.send(Outcome::Done(completion.clone(), answer));
        match (sent, written.await) {
            (Ok(()), Ok(true)) => return Ok(Finished::Done),
            (Ok(()), Ok(false)) | (Err(_), _) => return Err(QueueError::LeaseLost(running.lease.id())),
            // The batcher was started again with this outcome in its hands. Written twice, the second is fenced out.
            (Ok(()), Err(_unanswered)) => {}
        }
    }
}

fn count(kind: &'static str, outcome: &'static str) {
    metrics::counter!("queue_jobs_finished_total", "kind" => kind, "outcome" => outcome).increment(1);
}
