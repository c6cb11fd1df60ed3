//! `billing jobs`: the job table as an operator reads it, and what a person may do to a job.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use common::domain::action::{Action, Effect};
use common::domain::actor::Reason;
use common::id::{parse_subscription_ref, subscription_ref};
use common::queue;
use common::queue::{JobFilter, JobRow, JobState};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::action::{Acting, ActionDone, ActionOptions};
use crate::session::Session;
use crate::text::{Table, plain, seoul, seoul_or_dash};
use crate::{OpsError, arguments};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tries, newest first
    #[command(after_help = "Examples:
  billing jobs list --state failed
  billing jobs list --attention
  billing jobs list --kind charge-subscription --subscription sub_0192f0c1a2b37c4d8e5f60718293a4b5")]
    List(JobsWanted),
    /// All tries of a job with their errors, and what comes next
    #[command(after_help = "Example:\n  billing jobs show 4711")]
    Show { id: i64 },
    /// Have a job tried now, whatever its waiting time or tries were
    #[command(after_help = "Examples:
  billing jobs retry 4711 --as kim@example.com
  billing jobs retry 4711 --dry-run")]
    Retry {
        id: i64,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Put a waiting job off; no try is spent
    #[command(after_help = "Example:\n  billing jobs snooze 4711 --for 2h --reason 'the mail server moves'")]
    Snooze {
        id: i64,
        /// E.g. 15m, 2h or 1d
        #[arg(long = "for", value_name = "SPAN", value_parser = arguments::span)]
        span: TimeDelta,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Take a waiting, parked or failed job off the table for good
    #[command(after_help = "Example:\n  billing jobs discard 4711 --reason 'the customer has no mailbox'")]
    Discard {
        id: i64,
        #[command(flatten)]
        options: ActionOptions,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        if let Some(action) = self.previewed(now) {
            return session.print(&acting.preview(conn, &action).await?);
        }
        match self {
            Self::List(wanted) => session.print(&list(conn, &wanted).await?),
            Self::Show { id } => session.print(&show(conn, id).await?),
            Self::Retry { id, options } => {
                let reason = options.reason(Some("tried again by an operator"))?;
                session.print(&retry(conn, id, &reason, &acting).await?)
            }
            Self::Discard { id, options } => {
                session.print(&discard(conn, id, &options.reason(None)?, &acting).await?)
            }
            Self::Snooze { id, span, options } => {
                let action = Action::SnoozeJob { job_id: id, until: now + span };
                session.print(&ActionDone(acting.perform(conn, &action, &options.reason(None)?).await?))
            }
        }
    }

    /// The action of which only a preview is wanted.
    fn previewed(&self, now: DateTime<Utc>) -> Option<Action> {
        let (action, options) = match self {
            Self::List(_) | Self::Show { .. } => return None,
            Self::Retry { id, options } => (Action::RetryJob(*id), options),
            Self::Discard { id, options } => (Action::DiscardJob(*id), options),
            Self::Snooze { id, span, options } => {
                (Action::SnoozeJob { job_id: *id, until: now + *span }, options)
            }
        };
        options.dry_run.then_some(action)
    }
}

/// Which tries to list. All conditions that are given must hold; `limit` 0 means 50.
#[derive(Debug, Clone, Default, Args)]
pub struct JobsWanted {
    /// available, running, done, failed, discarded or parked
    #[arg(long, value_parser = arguments::job_state)]
    pub state: Option<JobState>,
    /// E.g. charge-subscription, send-email
    #[arg(long)]
    pub kind: Option<String>,
    /// sub_… or a UUID
    #[arg(long, value_name = "ID", value_parser = arguments::subscription_id)]
    pub subscription: Option<Uuid>,
    /// Only jobs that wait for an operator: parked, or failed with no next try
    #[arg(long)]
    pub attention: bool,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub limit: u16,
}

/// Tries, newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct JobList(pub Vec<JobView>);

/// All tries of one job, first to last.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Chain(pub Vec<JobView>);

/// One try; the table's own comments describe its columns. Subscriptions are written `sub_…`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct JobView(pub JobRow);

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
        let subject = with_subscription_ref(row.subject, "incomplete");
        Self(JobRow { subject, args: with_subscription_ref(row.args, "subscriptionId"), ..row })
    }
}

/// Writes the subscription id under `field`, if there is one, as `sub_…`.
fn with_subscription_ref(mut object: Value, field: &str) -> Value {
    if let Some(id) = object.get_mut(field)
        && let Some(known) = id.as_str().and_then(parse_subscription_ref)
    {
        *id = subscription_ref(known).into();
    }
    object
}

pub async fn list(conn: &mut PgConnection, wanted: &JobsWanted) -> Result<JobList, OpsError> {
    let filter = JobFilter {
        kind: wanted.kind.clone(),
        state: wanted.state,
        needs_attention: wanted.attention,
        subject: wanted.subscription.map(|id| json!({ "subscription": subscription_ref(id) })),
        before_id: None,
        limit: wanted.limit,
    };
    Ok(JobList(queue::list(conn, &filter).await?.into_iter().map(JobView::from).collect()))
}

/// The whole chain of tries that `id` belongs to.
pub async fn show(conn: &mut PgConnection, id: i64) -> Result<Chain, OpsError> {
    Ok(Chain(queue::show(conn, id).await?.into_iter().map(JobView::from).collect()))
}

/// Has a job tried now, whatever its waiting time or tries were.
pub async fn retry(
    conn: &mut PgConnection,
    id: i64,
    reason: &Reason,
    acting: &Acting,
) -> Result<Retried, OpsError> {
    let performed = acting.perform(conn, &Action::RetryJob(id), reason).await?;
    let runs_as = performed.effects.iter().find_map(|effect| match effect {
        Effect::JobRuns { job } => Some(*job),
        _ => None,
    });
    Ok(Retried { job: id, runs_as: runs_as.unwrap_or(id) })
}

/// Takes a waiting, parked or failed job off the table for good.
pub async fn discard(
    conn: &mut PgConnection,
    id: i64,
    reason: &Reason,
    acting: &Acting,
) -> Result<Discarded, OpsError> {
    acting.perform(conn, &Action::DiscardJob(id), reason).await?;
    Ok(Discarded { job: id, reason: format!("{reason} ({})", acting.actor) })
}

impl std::ops::Deref for JobView {
    type Target = JobRow;

    fn deref(&self) -> &JobRow {
        &self.0
    }
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

impl JobList {
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

impl fmt::Display for JobList {
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
