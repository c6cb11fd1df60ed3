//! `billing bulk`: one action on everything that matches a filter, worked off by a worker.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::commands::bulk::{BulkDryRun, BulkError, BulkRequest, dry_run_bulk, start_bulk, stop_bulk};
use common::domain::actor::Reason;
use common::domain::bulk::{BulkAction, BulkFilter};
use common::store::bulk_actions;
use common::store::bulk_actions::{BulkRow, SkippedItem};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::action::{Acting, parse_reason};
use crate::session::Session;
use crate::text::{Table, plain, seoul, seoul_or_dash, won};
use crate::{OpsError, arguments};

const ACTIONS: &str =
    "job.retry, job.discard, invoice.charge, invoice.forgive, payment.look_up or email.resend";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// How many it would be done to, which not and why, and for how much; writes nothing
    #[command(after_help = "Examples:
  billing bulk dry-run job.retry --state failed --kind send-email
  billing bulk dry-run invoice.forgive --since 2027-01-31T00:00:00+09:00 --json")]
    DryRun {
        #[arg(help = ACTIONS)]
        action: BulkAction,
        #[command(flatten)]
        filter: Filter,
    },
    /// Begin it: what matches now is worked off one by one
    #[command(
        after_help = "Example:\n  billing bulk start job.retry --state failed --kind send-email --reason 'the mail server is back'"
    )]
    Start {
        #[arg(help = ACTIONS)]
        action: BulkAction,
        #[command(flatten)]
        filter: Filter,
        /// Why, for the audit log: one line of 3 to 500 characters
        #[arg(long)]
        reason: String,
        /// Refuse when another number matches than the dry run showed
        #[arg(long, value_name = "COUNT")]
        expect: Option<i64>,
    },
    /// How far one has come, and what was skipped
    #[command(after_help = "Example:\n  billing bulk show 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    Show { id: Uuid },
    /// All bulk actions, newest first
    #[command(after_help = "Example:\n  billing bulk list")]
    List {
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
        limit: u16,
    },
    /// Begin no further item of a running one
    #[command(after_help = "Example:\n  billing bulk stop 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    Stop { id: Uuid },
}

#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// The kind of the jobs, payments or e-mails, or the plan of the invoices' subscriptions
    #[arg(long)]
    pub kind: Option<String>,
    /// The state of the jobs, or the status of the invoices' subscriptions
    #[arg(long)]
    pub state: Option<String>,
    /// The error's first line with ids and numbers written as #
    #[arg(long, value_name = "ERROR")]
    pub error: Option<String>,
    /// Failed, due, on hold or unknown at or after this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    pub since: Option<DateTime<Utc>>,
    /// The same, before this instant
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    pub until: Option<DateTime<Utc>>,
}

impl From<Filter> for BulkFilter {
    fn from(filter: Filter) -> Self {
        let Filter { kind, state, error, since, until } = filter;
        Self { kind, state, error_group: error, since, until }
    }
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        match self {
            Self::DryRun { action, filter } => {
                session.print(&DryRun(dry_run_bulk(conn, action, &filter.into()).await?))
            }
            Self::Start { action, filter, reason, expect } => {
                let reason = parse_reason(&reason)?;
                session.print(&start(conn, (action, &filter.into(), expect), &reason, &acting).await?)
            }
            Self::Show { id } => session.print(&show(conn, id).await?),
            Self::List { limit } => {
                session.print(&BulkList(bulk_actions::page(conn, None, limit.into()).await?))
            }
            Self::Stop { id } => session.print(&stop(conn, id, &acting).await?),
        }
    }
}

impl From<BulkError> for OpsError {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Store(error) => Self::Store(error),
            BulkError::Queue(error) => Self::Queue(error),
            error @ BulkError::NotFound(_) => Self::NotFound(error.to_string()),
            error @ (BulkError::NothingToDo
            | BulkError::TooMany(_)
            | BulkError::Changed { .. }
            | BulkError::Ended) => Self::Refused(error.to_string()),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct DryRun(pub BulkDryRun);

/// Newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct BulkList(pub Vec<BulkRow>);

/// One bulk action with what it skipped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    #[serde(flatten)]
    pub bulk: BulkRow,
    /// At most 100.
    pub skipped_items: Vec<SkippedItem>,
}

pub async fn start(
    conn: &mut PgConnection,
    (action, filter, seen): (BulkAction, &BulkFilter, Option<i64>),
    reason: &Reason,
    acting: &Acting,
) -> Result<Progress, OpsError> {
    let request = BulkRequest { action, filter, actor: &acting.actor, reason, seen, key: None };
    let mut tx = conn.begin().await?;
    let bulk = start_bulk(&mut tx, &request, acting.now).await?;
    tx.commit().await?;
    Ok(Progress { bulk, skipped_items: Vec::new() })
}

pub async fn show(conn: &mut PgConnection, id: Uuid) -> Result<Progress, OpsError> {
    let bulk = bulk_actions::find(conn, id).await?.ok_or(BulkError::NotFound(id))?;
    Ok(Progress { bulk, skipped_items: bulk_actions::skipped_items(conn, id, 0, 100).await? })
}

pub async fn stop(conn: &mut PgConnection, id: Uuid, acting: &Acting) -> Result<Progress, OpsError> {
    let mut tx = conn.begin().await?;
    stop_bulk(&mut tx, id, &acting.actor, acting.now).await?;
    tx.commit().await?;
    show(conn, id).await
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BulkDryRun { action, total, amount, left_out, .. } = &self.0;
        writeln!(f, "{action} of {total}, about {}; nothing was written", won(*amount))?;
        left_out.iter().try_for_each(|group| {
            let why = group.why_not.as_deref().unwrap_or_default();
            writeln!(f, "  left out: {} because of {why}, {}", group.count, won(group.amount))
        })
    }
}

impl fmt::Display for BulkList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["ID", "BEGUN (SEOUL)", "WHO", "ACTION", "STATE", "DONE", "SKIPPED", "OF", "WON"]);
        for bulk in &self.0 {
            table.row([
                bulk.id.to_string(),
                seoul(bulk.created_at),
                bulk.actor.clone(),
                bulk.action.clone(),
                bulk.state.clone(),
                bulk.done.to_string(),
                bulk.skipped.to_string(),
                bulk.total.to_string(),
                won(bulk.amount),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BulkRow { id, action, state, done, skipped, total, amount, actor, reason, .. } = &self.bulk;
        writeln!(f, "bulk action {id}: {action}, {state}")?;
        writeln!(f, "  {done} done, {skipped} skipped, of {total}, about {}", won(*amount))?;
        writeln!(f, "  begun {} by {}: {}", seoul(self.bulk.created_at), plain(actor), plain(reason))?;
        if let Some(by) = &self.bulk.stopped_by {
            writeln!(f, "  stopped {} by {}", seoul_or_dash(self.bulk.ended_at), plain(by))?;
        }
        self.skipped_items
            .iter()
            .try_for_each(|item| writeln!(f, "  skipped {}: {}", plain(&item.target_id), plain(&item.note)))
    }
}
