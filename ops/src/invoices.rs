//! `billing invoices`: older unpaid periods after an outage, which an operator charges or forgives.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::{
    domain::{
        calendar::seoul_date,
        invoice::{Invoice, InvoiceStatus},
        payment::Payment,
        subscription::{Subscription, SubscriptionStatus},
    },
    id::subscription_ref,
    jobs::{self, ChargeSubscription},
    store::{
        events::{self, Entry},
        invoices, payments,
        story::{self, InvoiceLine},
        subscriptions,
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    OpsError,
    error::given_reason,
    session::Session,
    text::{Table, plain, seoul_or_dash},
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The invoices on hold, oldest period first
    #[command(after_help = "Example:\n  billing invoices held")]
    Held,
    /// Charge a held invoice now
    #[command(after_help = "Example:\n  billing invoices charge 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    Charge { id: Uuid },
    /// Close a held invoice as void
    #[command(after_help = "Example:
  billing invoices forgive 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'our outage'")]
    Forgive {
        id: Uuid,
        #[arg(long)]
        reason: String,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        let actor = session.actor.as_str();
        match self {
            Self::Held => session.print(&held(&mut conn).await?),
            Self::Charge { id } => session.print(&charge(&mut conn, id, actor, now).await?),
            Self::Forgive { id, reason } => {
                session.print(&forgive(&mut conn, id, &reason, actor, now).await?)
            }
        }
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
    Ok(HeldInvoices(story::held_invoices(conn).await?))
}

/// Lets a held invoice be charged now, though its period is over.
pub async fn charge(
    conn: &mut PgConnection,
    id: Uuid,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Released, OpsError> {
    let mut tx = conn.begin().await?;
    let (subscription, invoice) = lock_held(&mut tx, id).await?;
    refuse_unchargeable(&subscription)?;
    invoices::release(&mut tx, id, now).await?;
    let why = format!("{}: to be charged", in_words(&invoice));
    events::append(&mut tx, &subscription, Entry { actor, what: "invoice.released", why: &why }, now).await?;
    let job = ChargeSubscription { invoice_id: id, subscription_id: subscription.id, by_scan: false };
    let job = jobs::enqueue(&mut tx, &job, now, now).await?.id();
    tx.commit().await?;
    Ok(Released { invoice: id, subscription: subscription_ref(subscription.id), job })
}

/// Closes a held invoice as void.
pub async fn forgive(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Forgiven, OpsError> {
    let reason = given_reason(reason)?.to_owned();
    let mut tx = conn.begin().await?;
    let (subscription, invoice) = lock_held(&mut tx, id).await?;
    invoices::close(&mut tx, id, InvoiceStatus::Void, now).await?;
    subscriptions::leave_past_due(&mut tx, subscription.id, now).await?;
    let now_is = subscriptions::lock(&mut tx, subscription.id).await?.map(|it| it.status);
    let is_running = seoul_date(now) < invoice.period.end && invoice.period.no > subscription.period_no;
    if is_running && now_is == Some(SubscriptionStatus::Active) {
        // It runs as if it had been paid, and the next one is charged in its time.
        subscriptions::begin_period(&mut tx, subscription.id, invoice.period, now).await?;
    }
    let why = format!("{}: {reason}", in_words(&invoice));
    events::append(&mut tx, &subscription, Entry { actor, what: "invoice.forgiven", why: &why }, now).await?;
    tx.commit().await?;
    Ok(Forgiven { invoice: id, subscription: subscription_ref(subscription.id), reason })
}

/// The held invoice and its subscription, both locked, in the order that the charge job takes them.
async fn lock_held(conn: &mut PgConnection, id: Uuid) -> Result<(Subscription, Invoice), OpsError> {
    let not_found = || OpsError::NotFound(format!("there is no invoice {id}"));
    let subscription_id = invoices::subscription_of(conn, id).await?.ok_or_else(not_found)?;
    let subscription = subscriptions::lock(conn, subscription_id).await?.ok_or_else(not_found)?;
    let invoice = invoices::lock(conn, id).await?.ok_or_else(not_found)?;
    if invoice.status != InvoiceStatus::Open || invoice.held_since.is_none() {
        let status = invoice.status;
        return Err(OpsError::Refused(format!("invoice {id} is {status} and does not wait for an operator")));
    }
    if payments::of_invoice(conn, id).await?.iter().any(Payment::is_unfinished) {
        return Err(OpsError::Refused(format!("invoice {id} has an attempt in flight: wait for its answer")));
    }
    Ok((subscription, invoice))
}

fn refuse_unchargeable(subscription: &Subscription) -> Result<(), OpsError> {
    let advice = match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue => return Ok(()),
        SubscriptionStatus::Suspended => "it can be charged once a new card has revived it",
        SubscriptionStatus::Canceled | SubscriptionStatus::Incomplete => "nothing can be charged: forgive it",
    };
    let (id, status) = (subscription_ref(subscription.id), subscription.status);
    Err(OpsError::Refused(format!("{id} is {status}: {advice}")))
}

fn in_words(invoice: &Invoice) -> String {
    let Invoice { period, amount, id, .. } = invoice;
    format!("invoice {id} of {amount} for {} to {}", period.start, period.end)
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
