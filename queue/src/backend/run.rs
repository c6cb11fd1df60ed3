//! One job from start to written outcome: panics, time limit, cut-off at a stop, retries while the database is away.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use apalis_core::error::BoxDynError;
use futures::FutureExt;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::flusher::Outcome;
use super::in_hand::InHand;
use super::patience::until_written;
use crate::cause::caused_by;
use crate::complete::Completion;
use crate::error::{JobError, QueueError};
use crate::finish::{Finish, Finished};
use crate::job::Lease;
use crate::policy::{KindConfig, OnStop};
use crate::settle::{Ran, Verdict, judge};

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
pub(crate) async fn run<F, E>(in_hand: InHand, config: Arc<KindConfig>, called: std::thread::Result<F>)
where
    F: Future<Output = Result<Ran, E>>,
    E: Into<BoxDynError>,
{
    metrics::counter!("queue_jobs_started_total", "kind" => config.kind).increment(1);
    let started = Instant::now();
    let ended = match called {
        Ok(handler) => watch(handler, &in_hand, &config).await,
        Err(panic) => Ended::Answered(Err(panicked(panic.as_ref()))),
    };
    metrics::histogram!("queue_job_seconds", "kind" => config.kind).record(started.elapsed());
    match ended {
        Ended::Answered(answer) => record(in_hand, &config, answer).await,
        Ended::CutOff => {
            count(config.kind, "handed_back");
            in_hand.give_back();
        }
    }
}

/// A handler without a time limit that keeps its lease at a stop is dropped by nothing.
async fn watch<F, E>(handler: F, in_hand: &InHand, config: &KindConfig) -> Ended
where
    F: Future<Output = Result<Ran, E>>,
    E: Into<BoxDynError>,
{
    let handler = caused_by(in_hand.lease.trace_context().map(str::to_owned), handler);
    let too_long = async {
        match config.timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let cut_off = async {
        match config.on_stop {
            OnStop::HandBack => in_hand.shared.hand_back.cancelled().await,
            OnStop::KeepLease => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        answer = AssertUnwindSafe(handler).catch_unwind() => Ended::Answered(match answer {
            Ok(answer) => answer.map_err(JobError::new),
            Err(panic) => Err(panicked(panic.as_ref())),
        }),
        () = too_long => Ended::Answered(Err(JobError::new(format!(
            "timed out after {} s",
            config.timeout.unwrap_or_default().as_secs_f64()
        )))),
        () = cut_off => Ended::CutOff,
    }
}

fn panicked(panic: &(dyn Any + Send)) -> JobError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    JobError::new(format!("panicked: {message}"))
}

/// Fails a job whose payload does not decode; decoding it again would not help.
pub(crate) fn fail_undecodable(mut in_hand: InHand, config: &Arc<KindConfig>, error: &serde_json::Error) {
    in_hand.start();
    let answer = Ok(Ran::Finish(Finish::Fail(format!("the args do not decode: {error}"))));
    let span = span(&in_hand.lease, config.kind);
    let config = config.clone();
    let tracker = in_hand.tracker(config.on_stop).clone();
    tracker.spawn(async move { record(in_hand, &config, answer).await }.instrument(span));
}

/// Writes the outcome; the slot and the lease are held until that is done.
async fn record(in_hand: InHand, config: &KindConfig, answer: Result<Ran, JobError>) {
    let shared = &in_hand.shared;
    if let Err(error) = &answer {
        tracing::warn!(error = %error, "the handler broke");
    }
    let now = shared.now();
    let written = match judge(&in_hand.lease, answer, config.backoff, now, (shared.config.jitter)()) {
        Verdict::Written(finished) => Ok(finished),
        Verdict::Write(Finish::Done(note)) => complete(&in_hand, note).await,
        Verdict::Write(finish) => {
            until_written("recording an outcome", shared.config.answer_within, || async {
                let mut conn = shared.pool.acquire().await?;
                in_hand.lease.finish_in(&mut conn, finish.clone(), now).await
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

async fn complete(in_hand: &InHand, note: Option<String>) -> Result<Finished, QueueError> {
    let (answer, written) = oneshot::channel();
    let completion = Completion { lease: in_hand.lease.clone(), note, finished_at: in_hand.shared.now() };
    let _ = in_hand.shared.outcomes.send(Outcome::Done(completion, answer));
    match written.await {
        Ok(true) => Ok(Finished::Done),
        Ok(false) | Err(_) => Err(QueueError::LeaseLost(in_hand.lease.id())),
    }
}

fn count(kind: &'static str, outcome: &'static str) {
    metrics::counter!("queue_jobs_finished_total", "kind" => kind, "outcome" => outcome).increment(1);
}
