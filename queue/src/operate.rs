//! What operators do: list, show, retry, discard, postpone.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::error::{QueueError, storable};

/// Where a try stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Available,
    /// Leased by a worker.
    Running,
    /// Done.
    Done,
    /// Failed; a next try may exist.
    Failed,
    /// Its reason is gone.
    Discarded,
    /// Crashed its worker too often.
    Parked,
}

impl JobState {
    /// As in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
            Self::Parked => "parked",
        }
    }

    /// From the table's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Available, Self::Running, Self::Done, Self::Failed, Self::Discarded, Self::Parked]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// One try as people see it; all times by the application's clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the columns are described in the table's own comments")]
pub struct JobRow {
    pub id: i64,
    pub kind: String,
    pub args: Value,
    pub subject: Value,
    pub state: String,
    pub priority: i16,
    pub run_at: DateTime<Utc>,
    pub attempt: i32,
    pub max_attempts: i32,
    pub unique_key: Option<String>,
    pub root_id: i64,
    pub retry_of: Option<i64>,
    pub next_id: Option<i64>,
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub note: Option<String>,
    pub crashes: i32,
    pub snoozes: i32,
    pub worker: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which tries to list: all conditions that are given must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobFilter {
    /// Only this kind.
    pub kind: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only what a person has to move on: parked, or failed with no next try.
    pub needs_attention: bool,
    /// Only with these ids in the subject, for example `{"subscription": "sub_1"}`.
    pub subject: Option<Value>,
    /// Only ids below this one: the last of the page before.
    pub before_id: Option<i64>,
    /// How many at most; 0 means 50.
    pub limit: u16,
}

/// Lists tries, newest first.
pub async fn list(conn: &mut PgConnection, filter: &JobFilter) -> Result<Vec<JobRow>, QueueError> {
    let limit = if filter.limit == 0 { 50 } else { i64::from(filter.limit) };
    // Part of the condition on the whole subject, and the part that has an index.
    let subscription = filter.subject.as_ref().and_then(|subject| subject.get("subscription")?.as_str());
    let rows = sqlx::query_as!(
        JobRow,
        r#"
        select id, kind, args, subject, state, priority, run_at, attempt, max_attempts, unique_key,
               coalesce(root_id, id) as "root_id!", retry_of, next_id, next_run_at, last_error, note, crashes, snoozes,
               worker, created_at, started_at, finished_at
        from jobs
        where ($1::text is null or kind = $1)
          and ($2::text is null or state = $2)
          and ($3::jsonb is null or subject @> $3)
          and ($7::text is null or (subject ? 'subscription' and subject->>'subscription' = $7))
          and ($4::bigint is null or id < $4)
          and (not $5 or state = 'parked' or (state = 'failed' and next_id is null))
        order by id desc limit $6
        "#,
        filter.kind,
        filter.state.map(JobState::as_str),
        filter.subject,
        filter.before_id,
        filter.needs_attention,
        limit,
        subscription
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// All tries of the job that `id` is a try of, first to last.
pub async fn show(conn: &mut PgConnection, id: i64) -> Result<Vec<JobRow>, QueueError> {
    let rows = sqlx::query_as!(
        JobRow,
        r#"
        with root as (select coalesce(root_id, id) as id from jobs where id = $1)
        select j.id, kind, args, subject, state, priority, run_at, attempt, max_attempts, unique_key,
               coalesce(root_id, j.id) as "root_id!", retry_of, next_id, next_run_at, last_error, note, crashes, snoozes,
               worker, created_at, started_at, finished_at
        from jobs j, root
        where j.id = root.id or j.root_id = root.id
        order by attempt, j.id
        "#,
        id
    )
    .fetch_all(conn)
    .await?;
    if rows.is_empty() { Err(QueueError::NotFound(id)) } else { Ok(rows) }
}

/// Has a job tried now, whatever its waiting time or tries were; returns the row that will run.
///
/// A waiting or parked try runs itself; an ended one gets a new try after it. Use it inside a transaction.
pub async fn retry_now(
    conn: &mut PgConnection,
    id: i64,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<i64, QueueError> {
    let locked = lock(conn, id).await?;
    match locked.state {
        JobState::Available | JobState::Parked => requeue(conn, id, now, actor).await,
        JobState::Failed | JobState::Discarded => match locked.next_id {
            None => try_again(conn, id, now, actor).await,
            Some(next) => Err(locked.refuse(id, format!("it was tried again as job {next}"))),
        },
        JobState::Running => {
            Err(locked.refuse(id, "wait until it ends or its worker counts as dead".to_owned()))
        }
        JobState::Done => Err(locked.refuse(id, "it is over, and well".to_owned())),
    }
}

/// Takes a waiting, parked or failed job off the table for good. Use it inside a transaction.
pub async fn discard(
    conn: &mut PgConnection,
    id: i64,
    now: DateTime<Utc>,
    reason: &str,
) -> Result<(), QueueError> {
    let locked = lock(conn, id).await?;
    match (locked.state, locked.next_id) {
        (JobState::Available | JobState::Parked, _) | (JobState::Failed, None) => {}
        (JobState::Failed, Some(next)) => {
            return Err(locked.refuse(id, format!("discard job {next}, which came after it")));
        }
        (JobState::Running, _) => return Err(locked.refuse(id, "wait until it ends".to_owned())),
        (JobState::Done | JobState::Discarded, _) => {
            return Err(locked.refuse(id, "it is over".to_owned()));
        }
    }
    sqlx::query!(
        "update jobs set state = 'discarded', note = $2, finished_at = $3 where id = $1",
        id,
        storable(reason),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Locked {
    state: JobState,
    next_id: Option<i64>,
}

impl Locked {
    fn refuse(&self, id: i64, advice: String) -> QueueError {
        QueueError::WrongState { id, state: self.state.as_str(), advice }
    }
}

async fn lock(conn: &mut PgConnection, id: i64) -> Result<Locked, QueueError> {
    let row = sqlx::query!("select state, next_id from jobs where id = $1 for update", id)
        .fetch_optional(conn)
        .await?
        .ok_or(QueueError::NotFound(id))?;
    let state = JobState::parse(&row.state).ok_or(QueueError::UnknownState { id, state: row.state })?;
    Ok(Locked { state, next_id: row.next_id })
}

async fn requeue(
    conn: &mut PgConnection,
    id: i64,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<i64, QueueError> {
    sqlx::query!(
        "with back as (
             update jobs set state = 'available', run_at = least(run_at, $2), due_at = due_at(least(run_at, $2), $2), crashes = 0, note = $3
             where id = $1 returning kind
         )
         select announce('jobs', kind) as announced from back",
        id,
        now,
        storable(&format!("run now by {actor}"))
    )
    .fetch_one(conn)
    .await?;
    Ok(id)
}

async fn try_again(
    conn: &mut PgConnection,
    id: i64,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<i64, QueueError> {
    let row = sqlx::query!(
        r#"
        with numbered as (select nextval('jobs_id_seq') as next_id),
        ended as (
            update jobs set next_id = numbered.next_id, next_run_at = $2 from numbered where id = $1
            returning jobs.*
        ), next as (
            insert into jobs (id, kind, args, about, subject, priority, run_at, due_at, attempt, max_attempts, root_id, retry_of,
                              trace_context, created_at, note)
            overriding system value
            select next_id, kind, args, about, subject, priority, $2, due_at($2, $2), attempt + 1, greatest(max_attempts, attempt + 1),
                   coalesce(root_id, id), id, trace_context, $2, $3
            from ended
            returning id, kind
        )
        select id, announce('jobs', kind) as announced from next
        "#,
        id,
        now,
        storable(&format!("run again by {actor}"))
    )
    .fetch_one(conn)
    .await?;
    Ok(row.id)
}

/// Has a waiting try run not before `until`. Use it inside a transaction.
pub async fn postpone(
    conn: &mut PgConnection,
    id: i64,
    until: DateTime<Utc>,
    note: &str,
) -> Result<(), QueueError> {
    let row = sqlx::query!(
        r#"
        with current as (select id, state from jobs where id = $1 for update),
        moved as (
            update jobs set run_at = $2, due_at = $2, note = $3 from current
             where jobs.id = current.id and current.state = 'available' returning jobs.id
        )
        select state, exists (select from moved) as "is_moved!" from current
        "#,
        id,
        until,
        storable(note)
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or(QueueError::NotFound(id))?;
    if row.is_moved {
        return Ok(());
    }
    let state = crate::JobState::parse(&row.state)
        .ok_or_else(|| QueueError::UnknownState { id, state: row.state.clone() })?;
    let advice = "only a job that waits can be put off".to_owned();
    Err(QueueError::WrongState { id, state: state.as_str(), advice })
}
