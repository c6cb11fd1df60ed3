//! What a new card has to pay at once, and what stands in its way.

use chrono::{DateTime, Utc};
use common::commands::settle_change::settle_change;
use common::domain::calendar::seoul_date;
use common::domain::invoice::{Invoice, InvoiceStatus, due_periods};
use common::domain::payment::Payment;
use common::domain::registration::in_dunning;
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::queue::JobError;
use common::store::{invoices, payments};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::env::Env;

/// Attempts that have no outcome yet.
pub(crate) async fn unfinished(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Vec<Payment>, JobError> {
    let mut found = Vec::new();
    for invoice in invoices::unsettled_of(conn, subscription_id).await? {
        found
            .extend(payments::of_invoice(conn, invoice.id).await?.into_iter().filter(Payment::is_unfinished));
    }
    Ok(found)
}

/// A suspended subscription is billed for the running period: what was to change by now has changed, or it has ended.
pub(crate) async fn at_todays_terms(
    env: &Env,
    conn: &mut PgConnection,
    subscription: Subscription,
    now: DateTime<Utc>,
) -> Result<Subscription, JobError> {
    match subscription.status {
        SubscriptionStatus::Suspended => Ok(settle_change(conn, &env.brand, subscription, now).await?),
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Canceled => Ok(subscription),
    }
}

/// What the new card has to pay at once. A suspended subscription owes the running period, counted from its anchor;
/// older ones wait for an operator, as after an outage.
pub(crate) async fn amount_due(
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, JobError> {
    let today = seoul_date(now);
    let unsettled = invoices::unsettled_of(conn, subscription.id).await?;
    match subscription.status {
        // Its first period, whose day is the one of the capture.
        SubscriptionStatus::Incomplete => Ok(unsettled.first().map(|invoice| invoice.id)),
        SubscriptionStatus::Active | SubscriptionStatus::Canceled => Ok(None),
        SubscriptionStatus::PastDue => Ok(in_dunning(&unsettled, today).map(|invoice| invoice.id)),
        SubscriptionStatus::Suspended => {
            let Subscription { id, period_no, amount, .. } = subscription;
            let Some(due) = due_periods(subscription.billing_schedule(), *period_no, today)? else {
                return Ok(None);
            };
            let wanted = Invoice::for_periods(*id, *amount, &due, now);
            let made = invoices::insert_missing(conn, &wanted, now).await?;
            let Some(current) = invoices::of_period(conn, *id, due.current.no).await? else {
                return Ok(None);
            };
            if made.contains(&current) {
                // Not to be charged by anything else while the subscription is suspended.
                invoices::close(conn, current, InvoiceStatus::Uncollectible, now).await?;
            }
            Ok(Some(current))
        }
    }
}
