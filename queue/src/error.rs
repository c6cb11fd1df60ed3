//! What can go wrong: in the queue itself, and inside a handler.

use std::error::Error;
use std::fmt;

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// PostgreSQL could not be reached or refused the statement.
    #[error("the job table could not be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// The server has not answered: it may be gone without a word, and the statement may have been carried out.
    #[error("the database gave no answer within {} s", .0.as_secs_f64())]
    NoAnswer(std::time::Duration),
    /// The lease ran out or was given back, and somebody else may own the job: nothing was written.
    #[error("the lease on job {0} is lost: nothing was written")]
    LeaseLost(i64),
    /// No row has this id.
    #[error("there is no job {0}")]
    NotFound(i64),
    /// The row is in a state in which an operator cannot do this.
    #[error("job {id} is {state}: {advice}")]
    WrongState {
        /// The row asked for.
        id: i64,
        /// Its state.
        state: &'static str,
        /// What to do instead.
        advice: String,
    },
    /// The row that held a unique key was deleted while the same key was enqueued, twice in a row.
    #[error("the job holding unique key {0:?} keeps vanishing: try again")]
    UniqueKeyVanished(String),
    /// The table holds a state this build does not know.
    #[error("job {id} has the unknown state {state:?}")]
    UnknownState {
        /// The row.
        id: i64,
        /// What its state column says.
        state: String,
    },
}

impl QueueError {
    /// The error of PostgreSQL that it comes from, if it comes from one.
    pub fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::NoAnswer(_)
            | Self::LeaseLost(_)
            | Self::NotFound(_)
            | Self::WrongState { .. }
            | Self::UniqueKeyVanished(_)
            | Self::UnknownState { .. } => None,
        }
    }

    /// Whether the same statement would be refused again: bad data or a broken schema, not an outage.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| ["22", "23", "42"].iter().any(|class| code.starts_with(class))),
            Self::Database(_) | Self::NoAnswer(_) => false,
            Self::LeaseLost(_)
            | Self::NotFound(_)
            | Self::WrongState { .. }
            | Self::UniqueKeyVanished(_)
            | Self::UnknownState { .. } => true,
        }
    }
}

/// "Our own machinery broke": what a handler answers with `?` when it could not come to an outcome.
///
/// It is settled by the kind's [`Backoff`](crate::Backoff) as a retry, or as failed when no tries are left.
pub struct JobError(Box<dyn Error + Send + Sync>);

/// Long enough for any honest error, short enough for a table that people read.
const MAX_TEXT: usize = 4_000;

impl JobError {
    /// From anything that converts into a boxed error: `&str`, `String`, `anyhow::Error`.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The error and its causes in one line, as stored in `last_error`.
    pub fn text(&self) -> String {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Many errors already print their cause.
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            cause = error.source();
        }
        storable(&text)
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

// Not an `Error` itself: that is what lets `?` convert every other error into it.
impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl From<JobError> for Box<dyn Error + Send + Sync> {
    fn from(error: JobError) -> Self {
        error.0
    }
}

/// PostgreSQL's text holds no NUL; an outcome must never be refused because of its wording.
pub(crate) fn storable(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the mail could not be sent")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn an_error_is_told_with_its_causes() {
        let Err(cause) = "x".parse::<i32>() else { panic!("not a number") };
        assert_eq!(
            JobError::from(Outer(cause)).text(),
            "the mail could not be sent: invalid digit found in string"
        );
    }

    #[test]
    fn a_text_that_postgres_would_refuse_is_made_storable() {
        assert_eq!(JobError::new("a\0b").text(), "ab");
        assert_eq!(JobError::new("x".repeat(9_000)).text().len(), MAX_TEXT);
    }
}
