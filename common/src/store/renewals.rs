//! The outcome of a paid renewal, in one statement: payment, invoice, subscription, audit entry, outgoing event and e-mail.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::emails::NewEmail;
use super::events::snapshot;
use super::webhook_deliveries::EventColumns;
use super::{StoreError, number};
use crate::domain::calendar::seoul_midnight;
use crate::domain::invoice::Invoice;
use crate::domain::outcome::Receipt;
use crate::domain::outgoing_event::{Change, MoneyFact, PaymentData, events_of};
use crate::domain::payment::Payment;
use crate::domain::subscription::Subscription;
use crate::jobs;
use crate::jobs::DeliverEvent;

/// What a paid renewal writes.
#[derive(Debug, Clone, Copy)]
pub struct PaidRenewal<'a> {
    pub before: &'a Subscription,
    /// The subscription with the paid period.
    pub after: &'a Subscription,
    pub invoice: &'a Invoice,
    pub payment: &'a Payment,
    pub receipt: &'a Receipt,
    /// What the customer reads.
    pub email: &'a NewEmail,
}

/// An active subscription once the period of this invoice has begun.
pub fn renewed(before: &Subscription, invoice: &Invoice, now: DateTime<Utc>) -> Subscription {
    let period = invoice.period;
    Subscription {
        period_no: period.no,
        current_period_start: period.start,
        current_period_end: period.end,
        next_billing_date: seoul_midnight(period.end),
        activated_at: before.activated_at.or(Some(now)),
        suspended_at: None,
        ..before.clone()
    }
}

/// Writes that this payment paid this invoice and that its period has begun.
///
/// The caller holds both rows and has read them under the lock: the subscription is active, and the invoice's period
/// comes after the one that is paid for. Each of the rows must be touched, or nothing is written.
pub async fn settle(
    conn: &mut PgConnection,
    paid: PaidRenewal<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let PaidRenewal { before, after, invoice, payment, receipt, email } = paid;
    let period = invoice.period;
    let events = events(paid, now);
    let (email, email_job) = email.as_json()?;
    let row = sqlx::query_file!(
        "src/store/sql/renewal_settle.sql",
        payment.id,
        receipt.payment_key,
        receipt.paid_at,
        receipt.method,
        receipt.receipt_url,
        receipt.secret,
        receipt.trace_id,
        now,
        invoice.id,
        before.id,
        number(period.no),
        period.start,
        period.end,
        after.next_billing_date,
        snapshot(before),
        &events.ids,
        &events.kinds,
        &events.unique_keys,
        &events.bodies,
        email,
        email_job,
    )
    .fetch_one(&mut *conn)
    .await?;
    if (row.payments, row.invoices, row.subscriptions) != (1, 1, 1) {
        let touched = u64::try_from(row.payments + row.invoices + row.subscriptions).unwrap_or_default();
        return Err(StoreError::WrongRowCount { what: "settle a renewal", touched });
    }
    if let Some(event_id) = row.to_deliver {
        jobs::enqueue(conn, &DeliverEvent { event_id, subscription_id: before.id }, now, now).await?;
    }
    Ok(())
}

/// The payment has its event. The subscription's status stays what it is, so that the entry has none.
fn events(paid: PaidRenewal<'_>, now: DateTime<Utc>) -> EventColumns {
    let PaidRenewal { before, after, invoice, payment, receipt, .. } = paid;
    let money = MoneyFact::Payment(PaymentData::of_paid(payment, invoice.period.no, receipt));
    EventColumns::of(&events_of(Change { before, after, entry_id: None, money: Some(&money) }, now))
}
