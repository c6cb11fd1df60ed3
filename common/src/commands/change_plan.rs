//! Another plan or cycle from the next renewal on, at the customer's request; and taking that back.
//!
//! One transaction under the subscription's lock: a death leaves the old request or the new one, never both. Nothing is
//! charged by it; the daily run applies it, or ends the subscription where a consent is missing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::calendar::{Cycle, seoul_date};
use crate::domain::plan_change::{ChangeEnd, ChangeRefused, PlanChange, Terms, next_change, takes_effect};
use crate::domain::subscription::Subscription;
use crate::id::{new_id, subscription_ref};
use crate::jobs;
use crate::jobs::SendRenewalNotices;
use crate::store::events::Entry;
use crate::store::{StoreError, events, plan_changes, plans, subscriptions};

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no such subscription")]
    NotFound,
    #[error("there is no plan {0:?}")]
    UnknownPlan(String),
    #[error("nothing is pending that the customer could take back")]
    NothingPending,
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose subscription, and who speaks.
#[derive(Debug, Clone, Copy)]
pub struct ChangePlan<'a> {
    pub subscription_id: Uuid,
    /// Only this user's subscription is found.
    pub user_id: Uuid,
    pub actor: &'a str,
}

/// Records the request in the place of an earlier one. The caller commits.
pub async fn change_plan(
    conn: &mut PgConnection,
    request: ChangePlan<'_>,
    plan: &str,
    cycle: Cycle,
    now: DateTime<Utc>,
) -> Result<(Subscription, PlanChange), ChangeError> {
    let subscription = own(conn, request).await?;
    let billed_no = plan_changes::last_billed_no(conn, subscription.id).await?;
    let wanted = plans::find(conn, plan).await?.ok_or_else(|| ChangeError::UnknownPlan(plan.to_owned()))?;
    let period = takes_effect(&subscription, &wanted.code, cycle, billed_no, seoul_date(now))?;
    let change = PlanChange {
        id: new_id(now),
        subscription_id: subscription.id,
        price_change_id: None,
        from: Terms {
            plan: subscription.plan.clone(),
            cycle: subscription.cycle,
            amount: subscription.amount,
        },
        to: Terms { amount: wanted.price(cycle), plan: wanted.code, cycle },
        effective_no: period.no,
        effective_on: period.start,
        requested_by: request.actor.to_owned(),
        consent: None,
    };
    if let Some(earlier) = own_change(conn, subscription.id).await? {
        plan_changes::settle(conn, earlier.id, ChangeEnd::Superseded, now).await?;
    }
    plan_changes::insert(conn, &change, now).await?;
    note(conn, &subscription, request.actor, "plan_change.requested", &in_words(&change), now).await?;
    Ok((subscription, change))
}

/// Takes the request back before it has taken effect. A new price of the plan cannot be taken back, only left.
pub async fn undo_change(
    conn: &mut PgConnection,
    request: ChangePlan<'_>,
    now: DateTime<Utc>,
) -> Result<Subscription, ChangeError> {
    let subscription = own(conn, request).await?;
    let change = own_change(conn, subscription.id).await?.ok_or(ChangeError::NothingPending)?;
    plan_changes::settle(conn, change.id, ChangeEnd::Withdrawn, now).await?;
    note(conn, &subscription, request.actor, "plan_change.withdrawn", &in_words(&change), now).await?;
    let notice = SendRenewalNotices::about(subscription.id, now);
    jobs::enqueue(conn, &notice, now, now).await.map_err(StoreError::from)?;
    Ok(subscription)
}

/// What comes next for this subscription, if anything is pending.
pub async fn pending_change(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Option<PlanChange>, StoreError> {
    let pending = plan_changes::pending_of(conn, &[subscription_id]).await?;
    Ok(next_change(&pending).cloned())
}

/// `personal monthly 9,900원 → pro monthly 19,900원 from 2026-12-22`.
pub(crate) fn in_words(change: &PlanChange) -> String {
    let PlanChange { from, to, effective_on, .. } = change;
    format!(
        "{} {} {} → {} {} {} from {effective_on}",
        from.plan, from.cycle, from.amount, to.plan, to.cycle, to.amount
    )
}

pub(super) async fn own(
    conn: &mut PgConnection,
    request: ChangePlan<'_>,
) -> Result<Subscription, ChangeError> {
    let found = subscriptions::lock(conn, request.subscription_id).await?;
    found.filter(|subscription| subscription.user_id == request.user_id).ok_or(ChangeError::NotFound)
}

async fn own_change(conn: &mut PgConnection, id: Uuid) -> Result<Option<PlanChange>, StoreError> {
    let pending = plan_changes::pending_of(conn, &[id]).await?;
    Ok(pending.into_iter().find(|change| change.price_change_id.is_none()))
}

pub(super) async fn note(
    conn: &mut PgConnection,
    subscription: &Subscription,
    actor: &str,
    what: &str,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tracing::info!(subscription.id = %subscription_ref(subscription.id), actor, why, "{what}");
    events::append(conn, subscription, Entry { actor, what, why }, now).await
}
