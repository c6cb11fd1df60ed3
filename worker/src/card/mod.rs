//! A new card, step by step: issue its key, seal it in a commit of its own, prove it where something is open, replace.
//!
//! What a death leaves behind, line by line: before the intent's commit, a registration that was not sent; until the
//! key's commit, one that looks sent, and the same request under the same key brings the same answer (there is no other
//! way to it); after the key's commit, an issued key, which is applied; while it is proven, an attempt like any other,
//! which is looked up before anything else moves money. The old key stays in force until the commit that replaces it,
//! and that commit hands the old one over for deletion.
//!
//! A decline of the new card leaves the old card and the dunning schedule as they were: it is on record, but no step.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::outcome::Decline;
use common::domain::payment::{Payment, PaymentKind};
use common::domain::registration::{Registration, RegistrationStatus};
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::id::{new_id, subscription_ref};
use common::jobs::{DeleteBillingKey, IssueBillingKey};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::events::{Entry, Settled};
use common::store::{billing_key_deletions, events, payments, registrations, settings, subscriptions};
use common::{jobs, store};
use sqlx::PgConnection;
use uuid::Uuid;

use self::amount_due::{amount_due, at_todays_terms, unfinished};
use crate::charge::Sending;
use crate::charge::context::ChargeContext;
use crate::env::Env;
use crate::error::SettleError;
use crate::gateway::health;
use crate::gateway::health::{Call, Caller};
use crate::{charge, notifications};

mod amount_due;
pub(crate) mod deletion;
mod issue;

/// Moves one registration on by at most one call for its key and one for money.
#[tracing::instrument(name = "card.issue_billing_key", skip_all,
    fields(subscription.id = %subscription_ref(job.subscription_id), registration.id = %job.registration_id))]
pub(crate) async fn issue_billing_key(
    job: IssueBillingKey,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let (env, lease) = (&*env, &lease);
    let mut conn = env.pool.acquire().await?;
    let found = registrations::find(&mut conn, job.registration_id).await?;
    drop(conn);
    let Some(found) = found else {
        return Ok(Ran::Finish(Finish::Discard("the registration does not exist".into())));
    };
    match found.status {
        RegistrationStatus::Applied | RegistrationStatus::Refused | RegistrationStatus::Dropped => {
            Ok(Ran::Finish(Finish::Discard("the registration is settled".into())))
        }
        RegistrationStatus::Verifying => go_on_verifying(env, lease, &found).await,
        RegistrationStatus::Pending | RegistrationStatus::Unknown => {
            let permit = health::check_gateway(env, Call::CARD).await?;
            health::when_permitted(env, permit, |caller| issue::issue(env, lease, &found, caller)).await
        }
        RegistrationStatus::Issued => apply(env, lease, &found).await,
    }
}

/// Puts a card in force whose key is known.
pub(crate) async fn apply(env: &Env, lease: &Lease, found: &Registration) -> Result<Ran, JobError> {
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
    charge::send(env, lease, tx, &context, &attempt, Sending { again: false, caller }).await
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

async fn go_on_verifying(env: &Env, lease: &Lease, found: &Registration) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    subscriptions::lock(&mut tx, found.subscription_id).await?;
    let card = registrations::lock(&mut tx, found.id).await?.ok_or(SettleError::Vanished)?;
    let (RegistrationStatus::Verifying, Some(payment_id)) = (card.status, card.payment_id) else {
        return Ok(Ran::Finish(Finish::Done(Some("settled meanwhile by another worker".into()))));
    };
    let attempt = payments::find(&mut tx, payment_id).await?.ok_or(SettleError::Vanished)?;
    if attempt.is_unfinished() {
        drop(tx);
        return charge::advance(env, lease, Call::CHARGE, found.subscription_id, attempt.invoice_id).await;
    }
    // A cancel withdrew the attempt before it was sent.
    give_up(&mut tx, &card, RegistrationStatus::Dropped, None, now).await?;
    let finish = Finish::Done(Some("the charge was withdrawn; the new key is deleted".into()));
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}

/// The subscription as the attempt charges it: with the key of the new card where the attempt proves one.
pub(crate) async fn charged_with(
    conn: &mut PgConnection,
    subscription: &Subscription,
    attempt: &Payment,
) -> Result<Subscription, store::StoreError> {
    let mut charged = subscription.clone();
    if attempt.kind == PaymentKind::NewCard {
        let card = registrations::of_payment(conn, attempt.id).await?;
        charged.sealed_billing_key = card.and_then(|card| card.sealed_billing_key);
    }
    Ok(charged)
}

/// The charge with the new card went through: it is the subscription's from here on, unless that was canceled meanwhile.
pub(crate) async fn verified(
    conn: &mut PgConnection,
    subscription: &Subscription,
    attempt: &Payment,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let card = registrations::of_payment(conn, attempt.id).await?.ok_or(SettleError::Vanished)?;
    if subscription.status == SubscriptionStatus::Canceled {
        give_up(conn, &card, RegistrationStatus::Dropped, None, now).await
    } else {
        replace(conn, subscription, &card, now).await
    }
}

/// The bank said no to the new card: the old one and the dunning schedule stay as they were. What has not begun waits for another
/// card until its deadline.
pub(crate) async fn declined(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    attempt: &Payment,
    refusal: &Decline,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let card = registrations::of_payment(conn, attempt.id).await?.ok_or(SettleError::Vanished)?;
    let why = Some((refusal.code.as_str(), refusal.message.as_str()));
    give_up(conn, &card, RegistrationStatus::Refused, why, now).await?;
    events::announce_settled(conn, subscription, Settled::Payment(attempt.id), now).await?;
    notifications::first_failed(env, conn, subscription, &card, toss::korean_reason(&refusal.code), now)
        .await?;
    Ok(Finish::Fail(format!(
        "the card was declined, nothing else changes: {} {}",
        refusal.code, refusal.message
    )))
}

async fn replace(
    conn: &mut PgConnection,
    subscription: &Subscription,
    card: &Registration,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let sealed = card.sealed_billing_key.as_deref().ok_or(SettleError::Vanished)?;
    if let Some(old) = &subscription.sealed_billing_key {
        retire(conn, subscription.id, old, now).await?;
    }
    subscriptions::keep_card(conn, subscription.id, sealed, card.card_number.as_deref(), now).await?;
    registrations::settle(conn, card.id, RegistrationStatus::Applied, None, now).await?;
    let what = match subscription.sealed_billing_key {
        Some(_) => "payment_method.replaced",
        None => "payment_method.registered",
    };
    let entry = Entry { actor: "worker", what, why: "a card was registered" };
    events::append(conn, subscription, entry, now).await?;
    Ok(store::announce_settled(conn, &card.id.to_string()).await?)
}

async fn give_up(
    conn: &mut PgConnection,
    card: &Registration,
    status: RegistrationStatus,
    why: Option<(&str, &str)>,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    if let Some(sealed) = &card.sealed_billing_key {
        retire(conn, card.subscription_id, sealed, now).await?;
    }
    registrations::settle(conn, card.id, status, why, now).await?;
    Ok(store::announce_settled(conn, &card.id.to_string()).await?)
}

async fn retire(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    sealed: &str,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let deletion_id = new_id(now);
    billing_key_deletions::insert(conn, deletion_id, subscription_id, sealed, now).await?;
    jobs::enqueue(conn, &DeleteBillingKey { deletion_id, subscription_id }, now, now).await?;
    Ok(())
}
