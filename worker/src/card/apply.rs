//! Puts a card in force whose key is known: at once where nothing is open, else after a charge has proven it.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::payment::PaymentKind;
use common::domain::registration::{Registration, RegistrationStatus};
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::events::Entry;
use common::store::{events, payments, registrations, settings, subscriptions};
use sqlx::PgConnection;

use super::amount_due::{amount_due, at_todays_terms, unfinished};
use super::replacement::{give_up, replace};
use crate::charge::context::ChargeContext;
use crate::charge::send::{Sending, send};
use crate::env::Env;
use crate::error::SettleError;
use crate::gateway::health;
use crate::gateway::health::{Call, Caller};

/// Puts a card in force whose key is known.
pub(super) async fn apply(env: &Env, lease: &Lease, found: &Registration) -> Result<Ran, JobError> {
    let permit = health::check_gateway(env, Call::CARD).await?;
    health::when_permitted(env, permit, |caller| replace_or_verify(env, lease, found, caller)).await
}

/// Under the subscription's lock: replaces the old card at once where nothing is open, else proves the new one first.
async fn replace_or_verify(
    env: &Env,
    lease: &Lease,
    found: &Registration,
    caller: Caller,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let subscription = subscriptions::lock(&mut tx, found.subscription_id).await?;
    let subscription = at_todays_terms(env, &mut tx, subscription.ok_or(SettleError::Vanished)?, now).await?;
    let Some(card) = registrations::lock(&mut tx, found.id).await? else {
        return Err(JobError::new("the registration vanished"));
    };
    if card.status != RegistrationStatus::Issued {
        return Ok(Ran::Finish(Finish::Done(Some("moved on by another worker".into()))));
    }
    if subscription.status == SubscriptionStatus::Canceled {
        give_up(&mut tx, &card, RegistrationStatus::Dropped, None, now).await?;
        let finish = Finish::Done(Some("the subscription was canceled; the new key is deleted".into()));
        return Ok(Ran::Committed(lease.commit(tx, finish, now).await?));
    }
    let unfinished = unfinished(&mut tx, subscription.id).await?;
    if unfinished.iter().any(|attempt| attempt.sent_at.is_some()) {
        let reason = "a charge is in flight: nothing else moves money".into();
        return Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + TimeDelta::seconds(30) }));
    }
    let Some(invoice_id) = amount_due(&mut tx, &subscription, now).await? else {
        put_in_force(&mut tx, &subscription, &card, now).await?;
        let finish = Finish::Done(Some("the new card is in force".into()));
        return Ok(Ran::Committed(lease.commit(tx, finish, now).await?));
    };
    if subscription.charging_paused_at.is_some() || !settings::charging_enabled(&mut tx).await? {
        let reason = "charging is stopped by an operator".into();
        return Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + TimeDelta::minutes(10) }));
    }
    for unsent in unfinished.iter().filter(|attempt| attempt.invoice_id == invoice_id) {
        payments::withdraw(&mut tx, unsent.id, "a new card pays instead", now).await?;
    }
    let context =
        ChargeContext::read(&mut tx, subscription.id, invoice_id).await?.ok_or(SettleError::Vanished)?;
    let attempt = context.next_payment(PaymentKind::NewCard, now);
    payments::insert(&mut tx, &attempt).await?;
    registrations::verify(&mut tx, card.id, attempt.id).await?;
    send(env, lease, tx, &context, &attempt, Sending { again: false, caller }).await
}

/// Nothing is due yet: one that was brought over suspended, say, goes on until its date.
async fn put_in_force(
    conn: &mut PgConnection,
    subscription: &Subscription,
    card: &Registration,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    replace(conn, subscription, card, now).await?;
    if subscription.status == SubscriptionStatus::Suspended {
        revive(conn, subscription, now).await?;
    }
    Ok(())
}

async fn revive(
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    subscriptions::revive(conn, subscription.id, now).await?;
    let entry =
        Entry { actor: "worker", what: "subscription.revived", why: "nothing is due before its next date" };
    Ok(events::append(conn, subscription, entry, now).await?)
}
