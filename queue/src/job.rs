//! A job before, and a try of it after, it was claimed.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::task_context::cause;

/// A job to enqueue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewJob {
    /// Which handler runs it.
    pub kind: &'static str,
    /// What the handler gets: ids, not data.
    pub args: Value,
    /// The row that this job moves on.
    pub about: Option<Uuid>,
    /// The ids this job is about, for people who read the table: a JSON object.
    pub subject: Value,
    /// At most one job of the kind has this key, for as long as its row exists, whatever became of it.
    pub unique_key: Option<String>,
    /// Not before, by the application's clock.
    pub run_at: DateTime<Utc>,
    /// Lower runs first within the kind.
    pub priority: i16,
    /// How many tries there may be, at least 1. Snoozes and crashes do not count.
    pub max_attempts: i32,
    /// W3C traceparent of what caused the job.
    pub trace_context: Option<String>,
}

impl NewJob {
    /// A job with priority 100, five tries, no subject and no unique key, caused by what the task was [`caused_by`](crate::caused_by).
    pub fn new(kind: &'static str, args: Value, run_at: DateTime<Utc>) -> Self {
        Self {
            kind,
            args,
            about: None,
            subject: Value::Object(serde_json::Map::new()),
            unique_key: None,
            run_at,
            priority: 100,
            max_attempts: 5,
            trace_context: cause(),
        }
    }

    /// The ids this job is about: a JSON object.
    #[must_use]
    pub fn subject(mut self, subject: Value) -> Self {
        self.subject = subject;
        self
    }

    /// See [`NewJob::unique_key`].
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Lower runs first.
    #[must_use]
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// See [`NewJob::max_attempts`].
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: i32) -> Self {
        self.max_attempts = max_attempts;
        self
    }
}

/// A try that was claimed and is ours while its lease lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// This try.
    pub id: i64,
    /// Which handler runs it.
    pub kind: String,
    /// What the handler gets.
    pub args: Value,
    /// Lower ran first.
    pub priority: i16,
    /// Which try this is, from 1.
    pub attempt: i32,
    /// The last try there may be.
    pub max_attempts: i32,
    /// Not before, as it was asked for.
    pub run_at: DateTime<Utc>,
    /// From when on a claim takes it.
    pub due_at: DateTime<Utc>,
    /// The first try of this job; its own id on the first.
    pub root_id: i64,
    /// How often a worker stopped answering while it held this try.
    pub crashes: i32,
    /// How often this try was put off.
    pub snoozes: i32,
    /// W3C traceparent of what caused the job.
    pub trace_context: Option<String>,
    /// The fence.
    pub token: Uuid,
}

impl Claimed {
    /// The right to write this try's outcome.
    pub fn lease(&self) -> Lease {
        Lease {
            id: self.id,
            token: self.token,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            root_id: self.root_id,
            trace_context: self.trace_context.clone(),
        }
    }
}

/// The right to write one try's outcome, for as long as nobody else claimed it. A handler extracts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub(crate) id: i64,
    pub(crate) token: Uuid,
    attempt: i32,
    max_attempts: i32,
    root_id: i64,
    trace_context: Option<String>,
}

impl Lease {
    /// This try.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The fence, new at each claim.
    pub fn token(&self) -> Uuid {
        self.token
    }

    /// Which try this is, from 1.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// The last try there may be.
    pub fn max_attempts(&self) -> i32 {
        self.max_attempts
    }

    /// The first try of this job; its own id on the first.
    pub fn root_id(&self) -> i64 {
        self.root_id
    }

    /// W3C traceparent of what caused the job: pass it on to the jobs that this one causes.
    pub fn trace_context(&self) -> Option<&str> {
        self.trace_context.as_deref()
    }
}
