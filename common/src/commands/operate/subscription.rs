//! Actions on a subscription: cancel, end at once, pause and resume its charges.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::payment::gateway_reason;
use super::request::{ActionError, ActionRequest};
use crate::commands::cancel::cancel_subscription;
use crate::commands::end::end_subscription;
use crate::commands::{cancel, end};
use crate::domain::action::{Effect, Target};
use crate::domain::ending::RefundPolicy;
use crate::domain::subscription::Subscription;
use crate::email::Brand;
use crate::jobs;
use crate::jobs::SendRenewalNotices;
use crate::store::events::Entry;
use crate::store::{events, subscriptions};

pub(super) async fn cancel(
    conn: &mut PgConnection,
    brand: &Brand,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let command = cancel::CancelSubscription {
        subscription_id: id,
        user_id: None,
        actor: request.actor.as_str(),
        reason: request.reason.as_str(),
    };
    let canceled = cancel_subscription(conn, brand, command, now)
        .await
        .map_err(|error| ActionError::of_cancel(error, Target::Subscription(id)))?;
    Ok(ended_effects(&canceled, now))
}

/// The same end again changes nothing.
pub(super) async fn end(
    conn: &mut PgConnection,
    brand: &Brand,
    (id, policy): (Uuid, RefundPolicy),
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let before = find(conn, id).await?;
    let command = end::EndSubscription {
        subscription_id: id,
        policy,
        reason: gateway_reason(request)?,
        key: request.key,
        actor: request.actor.as_str(),
    };
    let ended = end_subscription(conn, brand, command, now)
        .await
        .map_err(|error| ActionError::of_end(error, Target::Subscription(id)))?;
    if before.ended_at.is_some() {
        return Ok(Vec::new());
    }
    let mut effects = ended_effects(&ended.subscription, now);
    if let Some(refund) = ended.refund {
        effects.push(Effect::MoneyGoesBack { amount: refund.amount, refund_id: refund.id });
    }
    Ok(effects)
}

fn ended_effects(ended: &Subscription, now: DateTime<Utc>) -> Vec<Effect> {
    let mut effects = vec![Effect::NoFurtherCharge, Effect::AccessEnds { on: ended.access_until(now) }];
    if ended.activated_at.is_some() {
        effects.push(Effect::CustomerIsMailed);
    }
    effects
}

/// No new charge of the subscription begins. Paused already: changes nothing.
pub(super) async fn pause_charging(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let before = find(conn, id).await?;
    if before.charging_paused_at.is_some() {
        return Ok(Vec::new());
    }
    turn(conn, &before, Some(now), ("charging.paused", request), now).await?;
    Ok(vec![Effect::ChargesPause])
}

/// What is due meanwhile is charged by its waiting job or the next scan.
pub(super) async fn resume_charging(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let before = find(conn, id).await?;
    if before.charging_paused_at.is_none() {
        return Ok(Vec::new());
    }
    turn(conn, &before, None, ("charging.resumed", request), now).await?;
    jobs::enqueue(conn, &SendRenewalNotices::about(id, now), now, now).await?;
    Ok(vec![Effect::ChargesGoOn])
}

async fn turn(
    conn: &mut PgConnection,
    before: &Subscription,
    paused_at: Option<DateTime<Utc>>,
    (what, request): (&str, &ActionRequest<'_>),
    now: DateTime<Utc>,
) -> Result<(), ActionError> {
    subscriptions::pause_charging(conn, before.id, paused_at).await?;
    let entry = Entry { actor: request.actor.as_str(), what, why: request.reason.as_str() };
    events::append(conn, before, entry, now).await?;
    Ok(())
}

async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Subscription, ActionError> {
    subscriptions::find(conn, id).await?.ok_or(ActionError::NotFound(Target::Subscription(id)))
}
