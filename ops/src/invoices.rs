//! `billing invoices`: older unpaid periods after an outage, which an operator charges or forgives.

use std::fmt;

use clap::Subcommand;
use common::domain::action::{Action, Effect};
use common::domain::actor::Reason;
use common::id::subscription_ref;
use common::store::subscription_history::InvoiceLine;
use common::store::{invoices, subscription_history};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::OpsError;
use crate::action::{Acting, ActionOptions};
use crate::session::Session;
use crate::text::{Table, plain, seoul_or_dash};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The invoices on hold, oldest period first
    #[command(after_help = "Example:\n  billing invoices held")]
    Held,
    /// Charge a held invoice now
    #[command(after_help = "Example:\n  billing invoices charge 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    Charge {
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Close a held invoice as void
    #[command(after_help = "Example:
  billing invoices forgive 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'our outage'")]
    Forgive {
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        if let Some(action) = self.previewed() {
            return session.print(&acting.preview(conn, &action).await?);
        }
        match self {
            Self::Held => session.print(&held(conn).await?),
            Self::Charge { id, options } => {
                let reason = options.reason(Some("charged by an operator"))?;
                session.print(&charge(conn, id, &reason, &acting).await?)
            }
            Self::Forgive { id, options } => {
                session.print(&forgive(conn, id, &options.reason(None)?, &acting).await?)
            }
        }
    }

    /// The action of which only a preview is wanted.
    fn previewed(&self) -> Option<Action> {
        let (action, options) = match self {
            Self::Held => return None,
            Self::Charge { id, options } => (Action::ChargeInvoice(*id), options),
            Self::Forgive { id, options } => (Action::ForgiveInvoice(*id), options),
        };
        options.dry_run.then_some(action)
    }
}

/// Oldest period first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct HeldInvoices(pub Vec<InvoiceLine>);

/// The invoice will be charged by this job.
#[derive(Debug, Serialize)]
pub struct Released {
    pub invoice: Uuid,
    pub subscription: String,
    pub job: i64,
}

/// Nothing is owed for it any more.
#[derive(Debug, Serialize)]
pub struct Forgiven {
    pub invoice: Uuid,
    pub subscription: String,
    pub reason: String,
}

pub async fn held(conn: &mut PgConnection) -> Result<HeldInvoices, OpsError> {
    Ok(HeldInvoices(subscription_history::held_invoices(conn).await?))
}

/// Lets a held invoice be charged now, though its period is over.
pub async fn charge(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &Reason,
    acting: &Acting,
) -> Result<Released, OpsError> {
    let performed = acting.perform(conn, &Action::ChargeInvoice(id), reason).await?;
    let job = performed.effects.iter().find_map(|effect| match effect {
        Effect::CardIsCharged { job, .. } => Some(*job),
        _ => None,
    });
    Ok(Released { invoice: id, subscription: subscription_of(conn, id).await?, job: job.unwrap_or_default() })
}

/// Closes a held invoice as void.
pub async fn forgive(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &Reason,
    acting: &Acting,
) -> Result<Forgiven, OpsError> {
    acting.perform(conn, &Action::ForgiveInvoice(id), reason).await?;
    let subscription = subscription_of(conn, id).await?;
    Ok(Forgiven { invoice: id, subscription, reason: reason.to_string() })
}

async fn subscription_of(conn: &mut PgConnection, invoice_id: Uuid) -> Result<String, OpsError> {
    Ok(invoices::subscription_of(conn, invoice_id).await?.map(subscription_ref).unwrap_or_default())
}

impl fmt::Display for HeldInvoices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["INVOICE", "SUBSCRIPTION", "PERIOD", "FROM", "TO", "WON", "HELD SINCE (SEOUL)"]);
        for line in &self.0 {
            table.row([
                line.id.to_string(),
                subscription_ref(line.subscription_id),
                line.period_no.to_string(),
                line.period_start.to_string(),
                line.period_end.to_string(),
                line.amount.to_string(),
                seoul_or_dash(line.held_since),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "invoice {} of {} is charged by job {}", self.invoice, self.subscription, self.job)
    }
}

impl fmt::Display for Forgiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "invoice {} of {} is forgiven: {}", self.invoice, self.subscription, plain(&self.reason))
    }
}
