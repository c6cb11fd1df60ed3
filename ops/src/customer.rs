//! `billing customer`: changes a customer's address, erases a customer who asks for it.

use std::fmt;

use clap::Subcommand;
use common::commands::change_customer::{ChangeCustomerError, ChangeCustomerRequest, change_customer};
use common::commands::erase_customer::{EraseError, Erased, erase_customer};
use common::domain::action::Target;
use common::domain::validated::EmailAddress;
use common::store::erasures;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::OpsError;
use crate::action::{ActionOptions, Author, ReasonOption};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Erase what is personal, have the billing keys deleted at Toss, keep the money rows; cannot be undone
    #[command(after_help = "Examples:
  billing customer erase hong@example.com --dry-run
  billing customer erase 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --as kim@example.com")]
    Erase {
        /// The user's id, or an e-mail address of theirs
        #[arg(value_name = "USER-ID|EMAIL")]
        who: String,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Change the address that every later e-mail goes to
    #[command(after_help = "Example:
  billing customer set-email 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 new@example.com --as kim@example.com")]
    SetEmail {
        /// The user's id
        #[arg(value_name = "USER-ID")]
        user_id: Uuid,
        #[arg(value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        reason: ReasonOption,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        match self {
            Self::Erase { who, options } => {
                let author = session.author(options.reason.as_deref(), "the customer asked for it", now)?;
                session.print(&erase(&mut conn, &who, options.dry_run, &author).await?)
            }
            Self::SetEmail { user_id, email, reason } => {
                let author = session.author(reason.reason.as_deref(), "the customer asked for it", now)?;
                session.print(&set_email(&mut conn, user_id, &email, &author).await?)
            }
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    #[serde(flatten)]
    pub erased: Erased,
    /// True: it would be so; nothing was written.
    pub dry_run: bool,
}

impl From<EraseError> for OpsError {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Refused(why) => Self::Refused(format!("the customer cannot be erased yet: {why}")),
            EraseError::Store(error) => Self::Store(error),
            EraseError::Queue(error) => Self::Queue(error),
        }
    }
}

/// A customer's address and name, as they are now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerRow {
    pub user_id: Uuid,
    pub email: Option<String>,
    pub name: Option<String>,
}

impl fmt::Display for CustomerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(f, "customer {}: {}, {}", self.user_id, shown(&self.email), shown(&self.name))
    }
}

/// Changes the address that every later e-mail goes to, with an audit entry on each of the customer's subscriptions.
pub async fn set_email(
    conn: &mut PgConnection,
    user_id: Uuid,
    email: &str,
    author: &Author,
) -> Result<CustomerRow, OpsError> {
    let email = EmailAddress::try_from(email.to_owned())
        .map_err(|rule| OpsError::Usage(format!("{email:?} {}", rule.en)))?;
    let request = ChangeCustomerRequest {
        user_id,
        email: Some(email.as_str()),
        name: None,
        actor: author.actor.as_str(),
    };
    let mut tx = conn.begin().await?;
    let target = ("customer.set_email", Target::Customer(user_id));
    let changed = author
        .change(&mut tx, target, async |tx| {
            change_customer(tx, request, author.now).await.map_err(|error| match error {
                ChangeCustomerError::NotFound => OpsError::NotFound(format!("no customer {user_id}")),
                ChangeCustomerError::Store(error) => OpsError::Store(error),
            })
        })
        .await?;
    tx.commit().await?;
    Ok(CustomerRow { user_id, email: changed.email, name: changed.name })
}

/// Erases the customer of this user id or e-mail address. Running it again erases what has come since.
pub async fn erase(
    conn: &mut PgConnection,
    who: &str,
    dry_run: bool,
    author: &Author,
) -> Result<Erasure, OpsError> {
    let (id, who) = (Uuid::try_parse(who.trim()).ok(), who.trim());
    let found = erasures::users_called(conn, id, Some(who)).await?;
    let user_id = match found.as_slice() {
        [one] => *one,
        [] => return Err(OpsError::NotFound(format!("there is no customer {who}"))),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            let ids = ids.join(", ");
            return Err(OpsError::Refused(format!("several customers have that address; name one: {ids}")));
        }
    };
    let mut tx = conn.begin().await?;
    let target = ("customer.erase", Target::Customer(user_id));
    let erased = author
        .change(&mut tx, target, async |tx| {
            Ok(erase_customer(tx, user_id, author.actor.as_str(), author.now).await?)
        })
        .await?;
    if dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(Erasure { erased, dry_run })
}

impl fmt::Display for Erasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let erased = &self.erased;
        let how = match (erased.changed, self.dry_run) {
            (_, true) => "would be erased; nothing was written",
            (true, false) => "is erased",
            (false, false) => "was erased before",
        };
        writeln!(f, "customer {} {how}", erased.user_id)?;
        writeln!(
            f,
            "  {} subscriptions, {} e-mails, {} webhooks, {} entries in their own words",
            erased.subscriptions, erased.emails, erased.webhooks, erased.diary_entries
        )?;
        writeln!(f, "  {} billing keys are deleted at Toss by a worker", erased.billing_keys)?;
        writeln!(f, "  payments, invoices and refunds are kept")
    }
}
