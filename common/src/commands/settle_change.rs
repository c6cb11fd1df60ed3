//! The renewal that a change has waited for: the new terms begin, or the subscription ends for want of a consent.
//!
//! Runs in the transaction of whoever makes the next invoice, under the subscription's lock and before that invoice. A
//! death before the commit leaves the change pending, and no invoice can be made then; after it, nothing is left to do.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::cancel;
use super::change_plan::{in_words, note};
use crate::domain::calendar::{OutOfCalendar, seoul_date};
use crate::domain::invoice::{Invoice, InvoiceStatus, due_periods};
use crate::domain::plan_change::{AtRenewal, ChangeEnd, PlanChange, at_renewal, next_change};
use crate::domain::subscription::Subscription;
use crate::email::{Brand, RenderError};
use crate::id::{new_id, subscription_ref};
use crate::outbox::{Fact, OutboxError};
use crate::store::{StoreError, invoices, plan_changes, plans, subscriptions};
use crate::{email, outbox};

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Settles what is due today for a subscription whose row is locked; answers the subscription as it is then.
///
/// Consents are read here, after the lock was taken: one that was committed while this waited counts.
pub async fn settle_change(
    conn: &mut PgConnection,
    brand: &Brand,
    subscription: Subscription,
    now: DateTime<Utc>,
) -> Result<Subscription, SettleError> {
    let pending = plan_changes::pending_of(conn, &[subscription.id]).await?;
    let Some(next) = next_change(&pending) else { return Ok(subscription) };
    match at_renewal(next, subscription.status, seoul_date(now)) {
        AtRenewal::NotYet => return Ok(subscription),
        AtRenewal::Apply => {
            apply(conn, &subscription, next, now).await?;
            let others = pending.iter().filter(|change| change.id != next.id);
            end_all(conn, others, ChangeEnd::Superseded, now).await?;
            keep_wish(conn, &pending, next, now).await?;
        }
        AtRenewal::End => {
            end_all(conn, pending.iter(), ChangeEnd::Lapsed, now).await?;
            let reason = "no consent to the new amount";
            cancel::end(conn, &subscription, "worker", reason, now).await?;
            tell(conn, brand, &subscription, next, now).await?;
        }
        AtRenewal::Lapse => end_all(conn, pending.iter(), ChangeEnd::Lapsed, now).await?,
    }
    Ok(subscriptions::find(conn, subscription.id).await?.unwrap_or(subscription))
}

async fn end_all(
    conn: &mut PgConnection,
    changes: impl Iterator<Item = &PlanChange>,
    end: ChangeEnd,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for change in changes {
        plan_changes::settle(conn, change.id, end, now).await?;
    }
    Ok(())
}

/// A change of the customer's own for a later renewal outlives a new price: the same change, from what is paid now. A consent
/// to it names what was paid before, so it is asked for anew.
async fn keep_wish(
    conn: &mut PgConnection,
    pending: &[PlanChange],
    applied: &PlanChange,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let later = pending.iter().find(|change| {
        change.id != applied.id && change.price_change_id.is_none() && change.effective_on > seoul_date(now)
    });
    let Some(own_change) = later else { return Ok(()) };
    let again = PlanChange { id: new_id(now), from: applied.to.clone(), consent: None, ..own_change.clone() };
    plan_changes::insert(conn, &again, now).await
}

async fn apply(
    conn: &mut PgConnection,
    subscription: &Subscription,
    change: &PlanChange,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    hold_older(conn, subscription, change, now).await?;
    let from_month = subscription.billing_schedule().month_of(change.effective_no)?;
    plan_changes::begin_terms(conn, change, from_month, now).await?;
    plan_changes::settle(conn, change.id, ChangeEnd::Applied, now).await?;
    let what = "subscription.plan_changed";
    Ok(note(conn, subscription, "worker", what, &in_words(change), now).await?)
}

/// Periods under the old terms that an outage has left unbilled: for an operator, at the old amount.
async fn hold_older(
    conn: &mut PgConnection,
    subscription: &Subscription,
    change: &PlanChange,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let last_day = change.effective_on.pred_opt().ok_or(OutOfCalendar)?;
    let Some(due) = due_periods(subscription.billing_schedule(), subscription.period_no, last_day)? else {
        return Ok(());
    };
    let older = due.older.into_iter().chain([due.current]).map(|period| Invoice {
        id: new_id(now),
        subscription_id: subscription.id,
        period,
        due_on: period.start,
        amount: subscription.amount,
        status: InvoiceStatus::Open,
        first_failed_at: None,
        next_attempt_at: None,
        held_since: Some(now),
        released_at: None,
    });
    let older: Vec<Invoice> = older.collect();
    invoices::insert_missing(conn, &older, now).await?;
    Ok(())
}

/// It has ended, and why. Nothing more was charged.
async fn tell(
    conn: &mut PgConnection,
    brand: &Brand,
    subscription: &Subscription,
    change: &PlanChange,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let plan_name = plans::name_of(conn, &change.from.plan).await?;
    let rendered = email::subscription_lapsed(
        brand,
        &email::SubscriptionLapsed {
            customer_name: &subscription.customer_name,
            plan_name: &plan_name,
            old_amount: change.from.amount,
            new_amount: change.to.amount,
            ended_on: change.effective_on,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let step = change.id.simple().to_string();
    let fact = Fact { kind: "subscription_lapsed", period_no: change.effective_no, step: &step };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}
