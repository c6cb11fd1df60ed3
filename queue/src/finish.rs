//! Outcomes: fenced by the lease token, usable inside the handler's own transaction.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::error::{QueueError, storable};
use crate::job::Lease;

/// What shall become of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It is done; a sentence for people, if there is something to say.
    Done(Option<String>),
    /// It failed for good, and why.
    Fail(String),
    /// It failed, and the next try is a row of its own; without tries left it fails for good.
    Retry {
        /// Why.
        error: String,
        /// When to try again, by the application's clock.
        run_at: DateTime<Utc>,
    },
    /// It was not sent: come back later. Does not count as a try.
    Snooze {
        /// Why not now.
        reason: String,
        /// When to come back, by the application's clock.
        run_at: DateTime<Utc>,
    },
    /// Its reason is gone, and what happened to it.
    Discard(String),
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Done.
    Done,
    /// Failed for good.
    Failed,
    /// Failed, and the next try is this row.
    Retried(i64),
    /// Put off.
    Snoozed,
    /// Discarded.
    Discarded,
}

impl Finished {
    /// A word for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Retried(_) => "retried",
            Self::Snoozed => "snoozed",
            Self::Discarded => "discarded",
        }
    }
}

/// Proof that an outcome was committed by the handler itself; only [`Lease::commit`] and [`Lease::done_with_others`] make one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the handler answers with it"]
pub struct Committed(Finished);

impl Committed {
    /// What became of the try.
    pub fn finished(&self) -> Finished {
        self.0
    }
}

impl Lease {
    /// Writes the outcome with the caller's transaction.
    ///
    /// [`QueueError::LeaseLost`] means somebody else owns the job now: roll back and stop.
    pub async fn finish_in(
        &self,
        conn: &mut PgConnection,
        finish: Finish,
        now: DateTime<Utc>,
    ) -> Result<Finished, QueueError> {
        match finish {
            Finish::Done(note) => {
                self.close(conn, "done", None, note, now).await?;
                Ok(Finished::Done)
            }
            Finish::Fail(error) => {
                self.close(conn, "failed", Some(error), None, now).await?;
                Ok(Finished::Failed)
            }
            Finish::Discard(reason) => {
                self.close(conn, "discarded", None, Some(reason), now).await?;
                Ok(Finished::Discarded)
            }
            Finish::Retry { error, run_at: _ } if self.attempt() >= self.max_attempts() => {
                let error = format!("{error} (try {} of {}: none left)", self.attempt(), self.max_attempts());
                self.close(conn, "failed", Some(error), None, now).await?;
                Ok(Finished::Failed)
            }
            Finish::Retry { error, run_at } => {
                self.retry(conn, &error, run_at, now).await.map(Finished::Retried)
            }
            Finish::Snooze { reason, run_at } => {
                self.snooze(conn, &reason, run_at, now).await?;
                Ok(Finished::Snoozed)
            }
        }
    }

    /// Writes the outcome and commits: effect, next job and outcome together or not at all.
    ///
    /// After a connection that broke during the commit nobody knows whether it took place; answering with the error
    /// is safe either way, because settling it is fenced by the lease that a commit gave up.
    pub async fn commit(
        &self,
        mut tx: Transaction<'_, Postgres>,
        finish: Finish,
        now: DateTime<Utc>,
    ) -> Result<Committed, QueueError> {
        let finished = self.finish_in(&mut tx, finish, now).await?;
        tx.commit().await?;
        Ok(Committed(finished))
    }

    /// A committed statement of the caller's own has marked this try done together with others, fenced by its token.
    pub fn done_with_others(&self) -> Committed {
        Committed(Finished::Done)
    }

    async fn close(
        &self,
        conn: &mut PgConnection,
        state: &str,
        error: Option<String>,
        note: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let closed = sqlx::query!(
            "update jobs
             set state = $3, last_error = coalesce($4, last_error), note = $5, finished_at = $6,
                 lease_token = null, lease_until = null
             where id = $1 and lease_token = $2",
            self.id,
            self.token,
            state,
            error.as_deref().map(storable),
            note.as_deref().map(storable),
            now
        )
        .execute(conn)
        .await?;
        self.fenced(closed.rows_affected() == 1)
    }

    /// Marks this try failed and writes the next in the same statement; returns the next one's id.
    async fn retry(
        &self,
        conn: &mut PgConnection,
        error: &str,
        run_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<i64, QueueError> {
        let row = sqlx::query_file!("src/retry.sql", self.id, self.token, storable(error), run_at, now)
            .fetch_optional(conn)
            .await?;
        row.map(|row| row.id).ok_or(QueueError::LeaseLost(self.id))
    }

    async fn snooze(
        &self,
        conn: &mut PgConnection,
        reason: &str,
        run_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let row = sqlx::query!(
            "with back as (
                 update jobs
                 set state = 'available', run_at = $4, due_at = due_at($4, $5), note = $3, snoozes = snoozes + 1, crashes = 0,
                     lease_token = null, lease_until = null
                 where id = $1 and lease_token = $2
                 returning kind
             )
             select case when $4 <= $5 then announce('jobs', kind) end as announced from back",
            self.id,
            self.token,
            storable(reason),
            run_at,
            now
        )
        .fetch_optional(conn)
        .await?;
        self.fenced(row.is_some())
    }

    fn fenced(&self, written: bool) -> Result<(), QueueError> {
        if written { Ok(()) } else { Err(QueueError::LeaseLost(self.id)) }
    }
}
