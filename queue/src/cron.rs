//! Calendar jobs: once per kind and civil date, however many processes tick.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::enqueue::{Enqueued, enqueue};
use crate::error::QueueError;
use crate::job::NewJob;

/// One day's run of a calendar job.
#[derive(Debug, Clone, PartialEq)]
pub struct CronTick {
    /// Which handler runs it.
    pub kind: &'static str,
    /// The day it is for, in the caller's civil calendar. Part of the unique key.
    pub date: NaiveDate,
    /// When on that day, by the application's clock. May be past: a tick missed while down runs at once.
    pub due: DateTime<Utc>,
    /// What the handler gets.
    pub args: Value,
    /// How many tries there may be.
    pub max_attempts: i32,
}

/// Enqueues a day's run unless any process already did. Call it at every tick and at every start.
pub async fn enqueue_cron(
    conn: &mut PgConnection,
    tick: &CronTick,
    now: DateTime<Utc>,
) -> Result<Enqueued, QueueError> {
    let job = NewJob::new(tick.kind, tick.args.clone(), tick.due)
        .unique_key(format!("cron:{}", tick.date))
        .subject(serde_json::json!({ "date": tick.date }))
        .max_attempts(tick.max_attempts);
    enqueue(conn, &job, now).await
}
