//! `billing emails`: what was written to customers, what became of it, and sending it again.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use common::domain::action::{Action, Effect};
use common::domain::actor::Reason;
use common::id::subscription_ref;
use common::store::emails;
use common::store::emails::{Email, EmailFilter, EmailStatus};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::action::{Acting, parse_reason};
use crate::session::Session;
use crate::text::{Table, or_dash, plain, seoul, seoul_or_dash};
use crate::{OpsError, arguments};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// E-mails, newest first
    #[command(after_help = "Examples:
  billing emails list --status failed
  billing emails list --waiting 1h
  billing emails list --subscription sub_0192f0c1a2b37c4d8e5f60718293a4b5")]
    List(EmailsWanted),
    /// One e-mail with its text, and what the mail server said of it
    #[command(after_help = "Example:\n  billing emails show 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    Show { id: Uuid },
    /// Send e-mails again, each as a new e-mail to the customer's newest address; one that still waits is tried now
    #[command(after_help = "Examples:
  billing emails resend 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'the customer deleted it'
  billing emails list --status failed --json | jq -r '.[].id' | xargs billing emails resend --reason 'wrong password'")]
    Resend {
        #[arg(required = true)]
        ids: Vec<Uuid>,
        /// Why, for the audit log
        #[arg(long, default_value = "asked for by an operator")]
        reason: String,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        match self {
            Self::List(wanted) => session.print(&list(&mut conn, &wanted, now).await?),
            Self::Show { id } => session.print(&show(&mut conn, id).await?),
            Self::Resend { ids, reason } => {
                let reason = parse_reason(&reason)?;
                session.print(&resend(&mut conn, &ids, &reason, &session.acting(now)?).await?)
            }
        }
    }
}

/// Which e-mails to list. All conditions that are given must hold.
#[derive(Debug, Clone, Default, Args)]
pub struct EmailsWanted {
    /// queued, sent, dropped or failed
    #[arg(long, value_parser = status)]
    pub status: Option<EmailStatus>,
    /// sub_… or a UUID
    #[arg(long, value_name = "ID", value_parser = arguments::subscription_id)]
    pub subscription: Option<Uuid>,
    /// Only those that wait for longer than this, e.g. 1h
    #[arg(long, value_name = "TIME", value_parser = arguments::span)]
    pub waiting: Option<TimeDelta>,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub limit: u16,
}

fn status(text: &str) -> Result<EmailStatus, String> {
    text.parse().map_err(|_| "one of queued, sent, dropped, failed".to_owned())
}

/// An e-mail without its text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailView {
    pub id: Uuid,
    pub kind: String,
    pub status: EmailStatus,
    pub subscription: String,
    pub user_id: Uuid,
    pub to: String,
    pub subject: String,
    pub message_id: String,
    /// Tries that did not end it.
    pub attempts: i32,
    pub next_try_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    /// Not sent from then on.
    pub send_before: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// When it was sent, dropped or failed.
    pub settled_at: Option<DateTime<Utc>>,
    /// The e-mail that an operator had sent again as this one.
    pub resend_of: Option<Uuid>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct EmailList(pub Vec<EmailView>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailDetails {
    #[serde(flatten)]
    pub email: EmailView,
    pub text: String,
    pub html: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResentView {
    /// The e-mail that was asked for.
    pub id: Uuid,
    /// The e-mail that goes out: a new one, or the same where it still waited.
    pub sent_as: Uuid,
    pub to: String,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ResentList(pub Vec<ResentView>);

impl From<Email> for EmailView {
    fn from(email: Email) -> Self {
        Self {
            id: email.id,
            kind: email.kind,
            status: email.status,
            subscription: subscription_ref(email.subscription_id),
            user_id: email.user_id,
            to: email.to_address,
            subject: email.subject,
            message_id: email.message_id,
            attempts: email.attempts,
            next_try_at: email.next_try_at.filter(|_| email.status == EmailStatus::Queued),
            last_error: email.last_error,
            send_before: email.send_before,
            created_at: email.created_at,
            settled_at: email.settled_at,
            resend_of: email.resend_of,
        }
    }
}

pub async fn list(
    conn: &mut PgConnection,
    wanted: &EmailsWanted,
    now: DateTime<Utc>,
) -> Result<EmailList, OpsError> {
    let filter = EmailFilter {
        status: wanted.status.or(wanted.waiting.map(|_| EmailStatus::Queued)),
        subscription_id: wanted.subscription,
        created_before: wanted.waiting.map(|waiting| now - waiting),
        limit: wanted.limit.into(),
    };
    Ok(EmailList(emails::list(conn, &filter).await?.into_iter().map(EmailView::from).collect()))
}

pub async fn show(conn: &mut PgConnection, id: Uuid) -> Result<EmailDetails, OpsError> {
    let mut email = emails::find(conn, id).await?.ok_or_else(|| not_found(id))?;
    let (text, html) = (std::mem::take(&mut email.body_text), std::mem::take(&mut email.body_html));
    Ok(EmailDetails { email: email.into(), text, html })
}

/// Sends each e-mail again, all of them or none.
pub async fn resend(
    conn: &mut PgConnection,
    ids: &[Uuid],
    reason: &Reason,
    acting: &Acting,
) -> Result<ResentList, OpsError> {
    let mut tx = conn.begin().await?;
    let mut list = Vec::new();
    for id in ids {
        let performed = acting.perform(&mut tx, &Action::ResendEmail(*id), reason).await?;
        let sent_as = performed.effects.iter().find_map(|effect| match effect {
            Effect::EmailIsSentAgain { email_id } => Some(*email_id),
            _ => None,
        });
        let sent_as = sent_as.unwrap_or(*id);
        let to = emails::find(&mut tx, sent_as).await?.ok_or_else(|| not_found(sent_as))?.to_address;
        list.push(ResentView { id: *id, sent_as, to });
    }
    tx.commit().await?;
    Ok(ResentList(list))
}

fn not_found(id: Uuid) -> OpsError {
    OpsError::NotFound(format!("there is no e-mail {id}"))
}

impl fmt::Display for EmailList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["ID", "WRITTEN (SEOUL)", "KIND", "STATUS", "TRIES", "NEXT TRY", "TO", "WHY"]);
        for email in &self.0 {
            table.row([
                email.id.to_string(),
                seoul(email.created_at),
                email.kind.clone(),
                email.status.to_string(),
                email.attempts.to_string(),
                seoul_or_dash(email.next_try_at),
                email.to.clone(),
                email.last_error.clone().unwrap_or_default(),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for EmailDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let email = &self.email;
        writeln!(f, "e-mail {}  {}  {}", email.id, email.kind, email.status)?;
        writeln!(f, "for      {}, user {}", email.subscription, email.user_id)?;
        writeln!(f, "to       {}", plain(&email.to))?;
        writeln!(f, "id       {}", plain(&email.message_id))?;
        writeln!(f, "written  {} (all times in Seoul)", seoul(email.created_at))?;
        writeln!(f, "ended    {}", seoul_or_dash(email.settled_at))?;
        writeln!(f, "tries    {} failed, next {}", email.attempts, seoul_or_dash(email.next_try_at))?;
        writeln!(f, "why      {}", plain(&or_dash(email.last_error.as_deref())))?;
        if let Some(first) = email.resend_of {
            writeln!(f, "resend   of {first}")?;
        }
        writeln!(f, "\n{}\n\n{}", plain(&email.subject), self.text)
    }
}

impl fmt::Display for ResentList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|resent| {
            let ResentView { id, sent_as, to } = resent;
            let to = plain(to);
            if id == sent_as {
                writeln!(f, "e-mail {id} is tried again now, to {to}")
            } else {
                writeln!(f, "e-mail {id} goes out again as {sent_as}, to {to}")
            }
        })
    }
}
