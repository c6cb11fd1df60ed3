//! The single place that turns a handler's answer into an outcome.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::{JobError, QueueError};
use crate::finish::{Committed, Finish, Finished};
use crate::job::Lease;
use crate::policy::Backoff;

/// What a handler answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    /// The outcome was committed with the handler's own transaction.
    Committed(Committed),
    /// The outcome is to be written now.
    Finish(Finish),
}

impl From<Committed> for Ran {
    fn from(committed: Committed) -> Self {
        Self::Committed(committed)
    }
}

impl From<Finish> for Ran {
    fn from(finish: Finish) -> Self {
        Self::Finish(finish)
    }
}

/// Whether anything is left to write.
pub(crate) enum Answer {
    Written(Finished),
    Unwritten(Finish),
}

/// An error is tried again by the kind's backoff, as a row of its own, until the tries are used up.
pub(crate) fn read_answer(
    lease: &Lease,
    answer: Result<Ran, JobError>,
    backoff: Backoff,
    now: DateTime<Utc>,
    jitter: f64,
) -> Answer {
    match answer {
        Ok(Ran::Committed(committed)) => Answer::Written(committed.finished()),
        Ok(Ran::Finish(finish)) => Answer::Unwritten(finish),
        Err(error) => Answer::Unwritten(Finish::Retry {
            error: error.text(),
            run_at: backoff.next(lease.attempt(), now, jitter),
        }),
    }
}

/// Writes what a handler's answer means for its job. `jitter` is a random number in `[0, 1)`.
///
/// With [`claim`](crate::claim()) and a handler this runs one job by hand, with no task in the background.
pub async fn settle(
    conn: &mut PgConnection,
    lease: &Lease,
    answer: Result<Ran, JobError>,
    backoff: Backoff,
    now: DateTime<Utc>,
    jitter: f64,
) -> Result<Finished, QueueError> {
    match read_answer(lease, answer, backoff, now, jitter) {
        Answer::Written(finished) => Ok(finished),
        Answer::Unwritten(finish) => lease.finish_in(conn, finish, now).await,
    }
}
