//! Actions on an invoice on hold, an older unpaid period after an outage: charge it, or forgive it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::{ActionError, ActionRequest};
use crate::domain::action::{Effect, Refusal, Target};
use crate::domain::calendar::seoul_date;
use crate::domain::invoice::{Invoice, InvoiceStatus};
use crate::domain::payment::Payment;
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::jobs;
use crate::jobs::ChargeSubscription;
use crate::store::events::Entry;
use crate::store::{events, invoices, payments, subscriptions};

/// Has it charged now, though its period is over.
pub(super) async fn charge(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let (subscription, invoice) = lock_on_hold(conn, id).await?;
    refuse_unchargeable(&subscription)?;
    invoices::release(conn, id, now).await?;
    append(conn, &subscription, &invoice, ("invoice.released", request), now).await?;
    let job = ChargeSubscription { invoice_id: id, subscription_id: subscription.id, by_scan: false };
    let job = jobs::enqueue(conn, &job, now, now).await?.id();
    Ok(vec![Effect::CardIsCharged { amount: invoice.amount, job }])
}

/// Closes it as void. The period that runs now goes on as if it had been paid.
pub(super) async fn forgive(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let (subscription, invoice) = lock_on_hold(conn, id).await?;
    invoices::close(conn, id, InvoiceStatus::Void, now).await?;
    subscriptions::leave_past_due(conn, subscription.id, now).await?;
    let mut effects = vec![Effect::InvoiceIsVoid { amount: invoice.amount }];
    let status = subscriptions::find(conn, subscription.id).await?.map(|subscription| subscription.status);
    let is_running = seoul_date(now) < invoice.period.end && invoice.period.no > subscription.period_no;
    if is_running && status == Some(SubscriptionStatus::Active) {
        // The next period is charged in its time.
        subscriptions::begin_period(conn, subscription.id, invoice.period, now).await?;
        effects.push(Effect::PeriodRuns { until: invoice.period.end });
    }
    append(conn, &subscription, &invoice, ("invoice.forgiven", request), now).await?;
    Ok(effects)
}

/// The invoice and its subscription, both locked, in the order that the charge job takes them.
async fn lock_on_hold(conn: &mut PgConnection, id: Uuid) -> Result<(Subscription, Invoice), ActionError> {
    let not_found = || ActionError::NotFound(Target::Invoice(id));
    let subscription_id = invoices::subscription_of(conn, id).await?.ok_or_else(not_found)?;
    let subscription = subscriptions::lock(conn, subscription_id).await?.ok_or_else(not_found)?;
    let invoice = invoices::lock(conn, id).await?.ok_or_else(not_found)?;
    if invoice.status != InvoiceStatus::Open || invoice.held_since.is_none() {
        return Err(Refusal::InvoiceNotOnHold(invoice.status.to_string()).into());
    }
    if payments::of_invoice(conn, id).await?.iter().any(Payment::is_unfinished) {
        return Err(Refusal::PaymentInFlight.into());
    }
    Ok((subscription, invoice))
}

fn refuse_unchargeable(subscription: &Subscription) -> Result<(), Refusal> {
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue => Ok(()),
        SubscriptionStatus::Suspended => Err(Refusal::SubscriptionSuspended),
        status @ (SubscriptionStatus::Canceled | SubscriptionStatus::Incomplete) => {
            Err(Refusal::SubscriptionOver(status.to_string()))
        }
    }
}

async fn append(
    conn: &mut PgConnection,
    before: &Subscription,
    invoice: &Invoice,
    (what, request): (&str, &ActionRequest<'_>),
    now: DateTime<Utc>,
) -> Result<(), ActionError> {
    let Invoice { id, amount, period, .. } = invoice;
    let why = format!("invoice {id} of {amount} for {} to {}: {}", period.start, period.end, request.reason);
    let entry = Entry { actor: request.actor.as_str(), what, why: &why };
    events::append(conn, before, entry, now).await?;
    Ok(())
}
