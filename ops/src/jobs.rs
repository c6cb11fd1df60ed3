//! `billing jobs`: the job table as an operator reads it, and the two things that a person may do to a job.

use std::fmt;

use chrono::{DateTime, Utc};
use common::{
    id::{parse_subscription_ref, subscription_ref},
    queue::{self, JobFilter, JobRow, JobState},
};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    OpsError,
    moment::{seoul, seoul_or_dash},
    table::{Table, plain},
};

/// All conditions that are given must hold. `limit` 0 means 50.
#[derive(Debug, Clone, Default)]
pub struct JobsWanted {
    pub state: Option<JobState>,
    pub kind: Option<String>,
    pub subscription: Option<Uuid>,
    /// Only what a person has to move on: parked, or failed with no next try.
    pub attention: bool,
    pub limit: u16,
}

/// Tries, newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Jobs(pub Vec<JobView>);

/// All tries of one job, first to last.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Chain(pub Vec<JobView>);

/// One try; the columns of the table `jobs`, where their comments explain them. Subscriptions are called `sub_…`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    pub id: i64,
    pub kind: String,
    pub state: String,
    pub subject: Value,
    pub args: Value,
    pub attempt: i32,
    pub max_attempts: i32,
    pub run_at: DateTime<Utc>,
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

/// `job` was asked to be tried again; `runs_as` is the try that will run, itself or a new one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retried {
    pub job: i64,
    pub runs_as: i64,
}

#[derive(Debug, Serialize)]
pub struct Discarded {
    pub job: i64,
    pub reason: String,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            subject: with_subscription_ref(row.subject, "incomplete"),
            args: with_subscription_ref(row.args, "subscriptionId"),
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            run_at: row.run_at,
            root_id: row.root_id,
            retry_of: row.retry_of,
            next_id: row.next_id,
            next_run_at: row.next_run_at,
            last_error: row.last_error,
            note: row.note,
            crashes: row.crashes,
            snoozes: row.snoozes,
            worker: row.worker,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

/// Under `field`, if it is there.
fn with_subscription_ref(mut object: Value, field: &str) -> Value {
    if let Some(id) = object.get_mut(field)
        && let Some(known) = id.as_str().and_then(parse_subscription_ref)
    {
        *id = subscription_ref(known).into();
    }
    object
}

pub async fn list(conn: &mut PgConnection, wanted: &JobsWanted) -> Result<Jobs, OpsError> {
    let filter = JobFilter {
        kind: wanted.kind.clone(),
        state: wanted.state,
        needs_attention: wanted.attention,
        subject: wanted.subscription.map(|id| json!({ "subscription": subscription_ref(id) })),
        before_id: None,
        limit: wanted.limit,
    };
    Ok(Jobs(queue::list(conn, &filter).await?.into_iter().map(JobView::from).collect()))
}

/// The whole chain of tries that `id` belongs to.
pub async fn show(conn: &mut PgConnection, id: i64) -> Result<Chain, OpsError> {
    Ok(Chain(queue::show(conn, id).await?.into_iter().map(JobView::from).collect()))
}

/// Has a job tried now, whatever its waiting time or tries were.
pub async fn retry(
    conn: &mut PgConnection,
    id: i64,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Retried, OpsError> {
    let mut tx = conn.begin().await?;
    let runs_as = queue::retry_now(&mut tx, id, now, actor).await?;
    tx.commit().await?;
    Ok(Retried { job: id, runs_as })
}

/// Takes a waiting, parked or failed job off the table for good.
pub async fn discard(
    conn: &mut PgConnection,
    id: i64,
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Discarded, OpsError> {
    let reason = format!("{} ({actor})", crate::error::given_reason(reason)?);
    let mut tx = conn.begin().await?;
    queue::discard(&mut tx, id, now, &reason).await?;
    tx.commit().await?;
    Ok(Discarded { job: id, reason })
}

impl JobView {
    fn why(&self) -> String {
        self.last_error.as_deref().or(self.note.as_deref()).unwrap_or_default().to_owned()
    }

    /// The subscription where there is one, else every id.
    fn subject_in_short(&self) -> String {
        match self.subject.get("subscription").and_then(Value::as_str) {
            Some(subscription) => subscription.to_owned(),
            None => self.subject_in_full(),
        }
    }

    fn subject_in_full(&self) -> String {
        let ids = self.subject.as_object().into_iter().flatten();
        let words = ids.map(|(name, id)| match id.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {id}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Jobs {
    pub(crate) fn table(jobs: &[JobView]) -> Table {
        let mut table = Table::new(&["ID", "KIND", "STATE", "TRY", "RUN AT (SEOUL)", "FOR", "NEXT", "WHY"]);
        for job in jobs {
            table.row([
                job.id.to_string(),
                job.kind.clone(),
                job.state.clone(),
                format!("{}/{}", job.attempt, job.max_attempts),
                seoul(job.run_at),
                job.subject_in_short(),
                job.next_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                job.why(),
            ]);
        }
        table
    }
}

impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Self::table(&self.0))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.0.first() {
            writeln!(f, "job {}  {}", first.root_id, first.kind)?;
            writeln!(f, "for     {}", plain(&first.subject_in_full()))?;
            writeln!(f, "args    {}", plain(&first.args.to_string()))?;
            writeln!(f, "made    {} (all times in Seoul)", seoul(first.created_at))?;
        }
        self.0.iter().try_for_each(|job| write_try(f, job))
    }
}

fn write_try(f: &mut fmt::Formatter<'_>, job: &JobView) -> fmt::Result {
    writeln!(f)?;
    writeln!(f, "try {} of {}  job {}  {}", job.attempt, job.max_attempts, job.id, job.state)?;
    let (started, finished) = (seoul_or_dash(job.started_at), seoul_or_dash(job.finished_at));
    writeln!(f, "  due {}  started {started}  finished {finished}", seoul(job.run_at))?;
    if job.crashes > 0 || job.snoozes > 0 {
        writeln!(f, "  worker crashes {}, put off {} times", job.crashes, job.snoozes)?;
    }
    let texts = [("worker", &job.worker), ("error", &job.last_error), ("note", &job.note)];
    for (name, text) in texts {
        if let Some(text) = text {
            writeln!(f, "  {name:<7} {}", plain(text))?;
        }
    }
    match (job.next_id, job.next_run_at) {
        (Some(id), Some(at)) => writeln!(f, "  next    job {id} at {}", seoul(at)),
        _ if job.state == "failed" => writeln!(f, "  next    none: `billing jobs retry {}`", job.id),
        _ => Ok(()),
    }
}

impl fmt::Display for Retried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.job == self.runs_as {
            writeln!(f, "job {} runs now", self.job)
        } else {
            writeln!(f, "job {} is tried again now, as job {}", self.job, self.runs_as)
        }
    }
}

impl fmt::Display for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "job {} is discarded: {}", self.job, plain(&self.reason))
    }
}
