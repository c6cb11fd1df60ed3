//! Enqueueing: in the caller's transaction, one row or a set, unique keys without an error, at most one NOTIFY.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::QueueError;
use crate::job::NewJob;

/// What became of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// A row was written.
    New(i64),
    /// The unique key was taken: nothing was written; this is the first try of the job that has it.
    Existing(i64),
}

impl Enqueued {
    /// The row's id, new or not.
    pub fn id(self) -> i64 {
        match self {
            Self::New(id) | Self::Existing(id) => id,
        }
    }
}

/// Writes one job with the caller's transaction, which a taken unique key never aborts.
pub async fn enqueue(
    conn: &mut PgConnection,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<Enqueued, QueueError> {
    // Twice, because the row that holds the key may be pruned between the two statements.
    for _ in 0..2 {
        if let Some(id) = insert(conn, job, now).await? {
            return Ok(Enqueued::New(id));
        }
        let existing = sqlx::query_scalar!(
            "select id from jobs where kind = $1 and unique_key = $2",
            job.kind,
            job.unique_key
        )
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(id) = existing {
            return Ok(Enqueued::Existing(id));
        }
    }
    Err(QueueError::UniqueKeyVanished(job.unique_key.clone().unwrap_or_default()))
}

async fn insert(
    conn: &mut PgConnection,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with fresh as (
            insert into jobs (kind, args, about, subject, unique_key, run_at, due_at, priority, max_attempts, trace_context,
                              created_at)
            values ($1, $2, $10, $3, $4, $5, due_at($5, $9), $6, $7, $8, $9)
            on conflict (kind, unique_key) where unique_key is not null do nothing
            returning id, kind
        )
        select id as "id!", case when $5 <= $9 then announce('jobs', kind) end as announced from fresh
        "#,
        job.kind,
        job.args,
        job.subject,
        job.unique_key,
        job.run_at,
        job.priority,
        job.max_attempts,
        job.trace_context,
        now,
        job.about
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.id))
}

/// Writes a set of jobs in one statement and returns the ids of the new ones; taken unique keys are left out.
///
/// At most one NOTIFY, and only if something new is due at `now`.
#[expect(
    clippy::as_conversions,
    reason = "sqlx's way to name the type of an array with nulls; nothing is converted"
)]
pub async fn enqueue_many(
    conn: &mut PgConnection,
    jobs: &[NewJob],
    now: DateTime<Utc>,
) -> Result<Vec<i64>, QueueError> {
    let columns = Columns::of(jobs);
    let rows = sqlx::query!(
        r#"
        with fresh as (
            insert into jobs (kind, args, about, subject, unique_key, run_at, due_at, priority, max_attempts, trace_context,
                              created_at)
            select kind, args, about, subject, unique_key, run_at, due_at(run_at, $9), priority, max_attempts, trace_context, $9
            from unnest($1::text[], $2::jsonb[], $10::uuid[], $3::jsonb[], $4::text[], $5::timestamptz[], $6::smallint[],
                        $7::integer[], $8::text[])
                 as t (kind, args, about, subject, unique_key, run_at, priority, max_attempts, trace_context)
            on conflict (kind, unique_key) where unique_key is not null do nothing
            returning id, kind, run_at
        ), announced as (
            select announce('jobs', case when min(kind) = max(kind) then min(kind) else '' end) as nothing
            from fresh where run_at <= $9 having count(*) > 0
        )
        select id as "id!", (select nothing from announced) as announced from fresh
        "#,
        &columns.kinds,
        &columns.args,
        &columns.subjects,
        &columns.unique_keys as &[Option<String>],
        &columns.run_ats,
        &columns.priorities,
        &columns.max_attempts,
        &columns.trace_contexts as &[Option<String>],
        now,
        &columns.about as &[Option<Uuid>]
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The jobs turned on their side, for `unnest`.
#[derive(Default)]
struct Columns {
    kinds: Vec<String>,
    args: Vec<serde_json::Value>,
    about: Vec<Option<Uuid>>,
    subjects: Vec<serde_json::Value>,
    unique_keys: Vec<Option<String>>,
    run_ats: Vec<DateTime<Utc>>,
    priorities: Vec<i16>,
    max_attempts: Vec<i32>,
    trace_contexts: Vec<Option<String>>,
}

impl Columns {
    fn of(jobs: &[NewJob]) -> Self {
        let mut columns = Self::default();
        for job in jobs {
            columns.kinds.push(job.kind.to_owned());
            columns.args.push(job.args.clone());
            columns.about.push(job.about);
            columns.subjects.push(job.subject.clone());
            columns.unique_keys.push(job.unique_key.clone());
            columns.run_ats.push(job.run_at);
            columns.priorities.push(job.priority);
            columns.max_attempts.push(job.max_attempts);
            columns.trace_contexts.push(job.trace_context.clone());
        }
        columns
    }
}
