//! Batched completion: many "done" outcomes that have no transaction of their own, in one statement.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::{QueueError, storable};
use crate::job::Lease;

/// One try that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The right to say so.
    pub lease: Lease,
    /// A sentence for people.
    pub note: Option<String>,
    /// By the application's clock.
    pub finished_at: DateTime<Utc>,
}

/// Marks these tries done in one statement; returns the ids that were still ours, the others are fenced out.
#[expect(
    clippy::as_conversions,
    reason = "sqlx's way to name the type of an array with nulls; nothing is converted"
)]
pub async fn complete_many(
    db: impl PgExecutor<'_>,
    completions: &[Completion],
) -> Result<Vec<i64>, QueueError> {
    let ids: Vec<i64> = completions.iter().map(|c| c.lease.id).collect();
    let tokens: Vec<Uuid> = completions.iter().map(|c| c.lease.token).collect();
    let notes: Vec<Option<String>> = completions.iter().map(|c| c.note.as_deref().map(storable)).collect();
    let finished: Vec<DateTime<Utc>> = completions.iter().map(|c| c.finished_at).collect();
    // Fenced by the token alone: with the state in the condition the planner may walk the index of running rows.
    let ours = sqlx::query_scalar!(
        "update jobs
         set state = 'done', note = c.note, finished_at = c.finished_at, lease_token = null, lease_until = null
         from unnest($1::bigint[], $2::uuid[], $3::text[], $4::timestamptz[]) as c (id, token, note, finished_at)
         where jobs.id = c.id and jobs.lease_token = c.token
         returning jobs.id",
        &ids,
        &tokens,
        &notes as &[Option<String>],
        &finished
    )
    .fetch_all(db)
    .await?;
    Ok(ours)
}
