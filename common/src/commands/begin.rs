//! The rows that a new subscription begins with: itself, incomplete, and the invoice of its first period; and what the
//! customer holds already.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::cancel::end;
use crate::domain::calendar::{Cycle, OutOfCalendar, seoul_date, seoul_midnight};
use crate::domain::invoice::{Invoice, InvoiceStatus};
use crate::domain::money::Won;
use crate::domain::plan::Plan;
use crate::domain::purchase::{AlreadySubscribed, Purchase, purchase_beside};
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::id::new_id;
use crate::store::{StoreError, invoices, refunds, subscriptions};

/// Who subscribes to what. The amount is the plan's price.
pub(super) struct NewSubscription<'a> {
    pub(super) user_id: Uuid,
    pub(super) plan: &'a str,
    pub(super) cycle: Cycle,
    pub(super) amount: Won,
    pub(super) customer_key: &'a str,
    pub(super) customer_email: &'a str,
    pub(super) customer_name: &'a str,
    /// Until when a declined first charge can be repaired with another card; none where a payment is confirmed.
    pub(super) repair_until: Option<DateTime<Utc>>,
}

/// Refuses a purchase beside a living subscription, and ends a suspended one. The user's row is locked before, so that
/// two purchases at once follow one another.
pub(super) async fn make_way<E>(
    conn: &mut PgConnection,
    user_id: Uuid,
    plan: &Plan,
    now: DateTime<Utc>,
) -> Result<(), E>
where
    E: From<StoreError> + From<AlreadySubscribed>,
{
    if plan.may_be_held_beside_others {
        return Ok(());
    }
    for held in subscriptions::in_the_way_of_purchase(conn, user_id, seoul_date(now)).await? {
        let refunds = refunds::of_period(conn, held.id, held.period_no).await?;
        match purchase_beside(&held, refunds, now) {
            Purchase::Allowed => {}
            Purchase::Refused(in_the_way) => return Err(in_the_way.into()),
            Purchase::Replaces(_) => {
                let actor = format!("customer:{user_id}");
                end(conn, &held, &actor, "replaced by a new purchase while it was suspended", now).await?;
            }
        }
    }
    Ok(())
}

/// Inserts both. Its periods are counted from today until the day of the capture is known.
pub(super) async fn insert<E>(
    conn: &mut PgConnection,
    new: &NewSubscription<'_>,
    now: DateTime<Utc>,
) -> Result<(Subscription, Invoice), E>
where
    E: From<StoreError> + From<OutOfCalendar>,
{
    let subscription = subscription(new, now)?;
    let period = new.cycle.period(subscription.anchor_on, 0)?;
    let invoice = Invoice {
        id: new_id(now),
        subscription_id: subscription.id,
        period,
        due_on: period.start,
        amount: new.amount,
        status: InvoiceStatus::Open,
        first_failed_at: None,
        next_attempt_at: None,
        held_since: None,
        released_at: None,
    };
    subscriptions::insert(conn, &subscription).await?;
    invoices::insert_missing(conn, std::slice::from_ref(&invoice), now).await?;
    Ok((subscription, invoice))
}

fn subscription(new: &NewSubscription<'_>, now: DateTime<Utc>) -> Result<Subscription, OutOfCalendar> {
    let today = seoul_date(now);
    let period = new.cycle.period(today, 0)?;
    Ok(Subscription {
        id: new_id(now),
        user_id: new.user_id,
        plan: new.plan.to_owned(),
        cycle: new.cycle,
        sealed_billing_key: None,
        customer_key: new.customer_key.to_owned(),
        card_number: None,
        card_registered_at: None,
        amount: new.amount,
        status: SubscriptionStatus::Incomplete,
        customer_email: new.customer_email.to_owned(),
        customer_name: new.customer_name.to_owned(),
        anchor_on: today,
        terms_since_period: 0,
        terms_since_month: 0,
        period_no: 0,
        current_period_start: period.start,
        current_period_end: period.end,
        next_billing_date: seoul_midnight(period.end),
        charging_paused_at: None,
        repair_until: new.repair_until,
        created_at: now,
        activated_at: None,
        suspended_at: None,
        canceled_at: None,
        cancel_reason: None,
        ended_at: None,
    })
}
