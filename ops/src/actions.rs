//! `billing actions`: the audit log of operators.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::domain::action::TargetKind;
use common::store::operator_actions;
use common::store::operator_actions::{ActionFilter, ActionRow};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::session::Session;
use crate::text::{Table, seoul};
use crate::{OpsError, arguments};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What operators did, newest first
    #[command(after_help = "Examples:
  billing actions list --subscription sub_0192f0c1a2b37c4d8e5f60718293a4b5
  billing actions list --actor operator:kim@example.com --since 2027-01-31T00:00:00+09:00 --json")]
    List(ActionsWanted),
}

/// Which actions to list. All conditions that are given must hold.
#[derive(Debug, Clone, Default, Args)]
pub struct ActionsWanted {
    /// E.g. operator:kim@example.com
    #[arg(long)]
    pub actor: Option<String>,
    /// E.g. payment.refund
    #[arg(long)]
    pub action: Option<String>,
    /// sub_… or a UUID
    #[arg(long, value_name = "ID", value_parser = arguments::subscription_id)]
    pub subscription: Option<Uuid>,
    /// subscription, invoice, payment, job, discrepancy, event or switch
    #[arg(long, value_name = "KIND")]
    pub target: Option<TargetKind>,
    /// The target's id, as the list shows it
    #[arg(long, value_name = "ID", requires = "target")]
    pub target_id: Option<String>,
    /// The items of one bulk action
    #[arg(long, value_name = "ID")]
    pub bulk: Option<Uuid>,
    /// At or after this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    pub since: Option<DateTime<Utc>>,
    /// Before this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    pub until: Option<DateTime<Utc>>,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub limit: u16,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, _) = session.connect_now().await?;
        match self {
            Self::List(wanted) => session.print(&list(&mut conn, wanted).await?),
        }
    }
}

/// Newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ActionList(pub Vec<ActionRow>);

pub async fn list(conn: &mut PgConnection, wanted: ActionsWanted) -> Result<ActionList, OpsError> {
    let limit = if wanted.limit == 0 { 50 } else { i64::from(wanted.limit) };
    let filter = ActionFilter {
        actor: wanted.actor,
        action: wanted.action,
        target_kind: wanted.target,
        target_id: wanted.target_id,
        subscription_id: wanted.subscription,
        bulk_id: wanted.bulk,
        since: wanted.since,
        until: wanted.until,
        before_id: None,
    };
    Ok(ActionList(operator_actions::page(conn, &filter, limit).await?))
}

impl fmt::Display for ActionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["ID", "AT (SEOUL)", "WHO", "FROM", "ACTION", "TARGET", "REASON"]);
        for row in &self.0 {
            let from = row.address.as_deref().or(row.os_user.as_deref()).unwrap_or("-");
            table.row([
                row.id.to_string(),
                seoul(row.at),
                row.actor.clone(),
                format!("{} {from}", row.channel),
                row.action.clone(),
                format!("{} {}", row.target_kind, row.target_id),
                row.reason.clone(),
            ]);
        }
        write!(f, "{table}")
    }
}
