//! The outcome of a paid renewal, in one statement: payment, invoice and subscription.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{StoreError, number};
use crate::domain::{
    calendar::seoul_midnight,
    invoice::Invoice,
    outcome::Receipt,
    payment::Payment,
    subscription::{Subscription, SubscriptionStatus},
};

/// Writes that this payment paid this invoice and that its period has begun. Returns the subscription as it is then.
///
/// The caller holds both rows and has read them under the lock: the subscription is not canceled, and the invoice's period
/// comes after the one that is paid for. Each of the rows must be touched, or nothing is written.
pub async fn settle(
    conn: &mut PgConnection,
    before: &Subscription,
    invoice: &Invoice,
    payment: &Payment,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> Result<Subscription, StoreError> {
    let period = invoice.period;
    let next_billing_date = seoul_midnight(period.end);
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
        next_billing_date,
    )
    .fetch_one(conn)
    .await?;
    if (row.payments, row.invoices, row.subscriptions) != (1, 1, 1) {
        let touched = u64::try_from(row.payments + row.invoices + row.subscriptions).unwrap_or_default();
        return Err(StoreError::WrongRowCount { what: "settle a renewal", touched });
    }
    Ok(Subscription {
        status: SubscriptionStatus::Active,
        period_no: period.no,
        current_period_start: period.start,
        current_period_end: period.end,
        next_billing_date,
        activated_at: before.activated_at.or(Some(now)),
        suspended_at: None,
        ..before.clone()
    })
}
