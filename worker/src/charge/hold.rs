//! Invoices that are not charged: void after an end, on hold where an operator has to decide.

use chrono::{DateTime, Utc};
use common::commands::settle_change::settle_change;
use common::domain::invoice::{Invoice, InvoiceStatus, due_periods};
use common::domain::subscription::SubscriptionStatus;
use common::jobs;
use common::jobs::ChargeSubscription;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::{invoices, payments};

use super::context::ChargeContext;
use crate::env::{Env, Tx};

/// Voids the invoice of a subscription that ended before it was charged.
pub(super) async fn void(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    context: &ChargeContext,
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    let unsent = context.attempts.iter().find(|attempt| attempt.is_unfinished());
    if let Some(attempt) = unsent {
        payments::withdraw(&mut tx, attempt.id, "canceled before it was sent", now).await?;
        common::store::announce_settled(&mut tx, &attempt.order_id).await?;
    }
    invoices::close(&mut tx, context.invoice.id, InvoiceStatus::Void, now).await?;
    let finish = Finish::Discard("the subscription was canceled; nothing was charged".into());
    Ok(Ran::Committed(lease.commit(tx, finish, env.clock.now()).await?))
}

/// Puts the invoice on hold: its period ended before the charge could be sent, or the payment was never received. Today's
/// period, where that is another one, is charged instead.
pub(super) async fn hold(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    context: &ChargeContext,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    if let Some(unsent) = context.attempts.iter().find(|attempt| attempt.is_unfinished()) {
        payments::withdraw(&mut tx, unsent.id, why, now).await?;
        common::store::announce_settled(&mut tx, &unsent.order_id).await?;
    }
    invoices::hold(&mut tx, context.invoice.id, now).await?;
    let subscription = settle_change(&mut tx, &env.brand, context.subscription.clone(), now).await?;
    if subscription.status == SubscriptionStatus::Canceled {
        let why = "the subscription has ended: nobody agreed to its new amount";
        return Ok(Ran::Committed(lease.commit(tx, Finish::Discard(why.into()), env.clock.now()).await?));
    }
    let today = common::domain::calendar::seoul_date(now);
    let due = due_periods(subscription.billing_schedule(), subscription.period_no, today)?;
    if let Some(due) = due {
        let wanted: Vec<Invoice> = Invoice::for_periods(subscription.id, subscription.amount, &due, now);
        invoices::insert_missing(&mut tx, &wanted, now).await?;
        let current = invoices::of_period(&mut tx, subscription.id, due.current.no).await?;
        if let Some(invoice_id) = current.filter(|current| *current != context.invoice.id) {
            let job = ChargeSubscription { invoice_id, subscription_id: subscription.id, by_scan: true };
            jobs::enqueue(&mut tx, &job, now, now).await?;
        }
    }
    let finish = Finish::Discard(format!("{why}: an operator decides on it"));
    Ok(Ran::Committed(lease.commit(tx, finish, env.clock.now()).await?))
}
