//! What becomes of a new card: it replaces the old one, or it is given up, and the key that is not used is deleted.

use chrono::{DateTime, Utc};
use common::domain::outcome::Decline;
use common::domain::payment::{Payment, PaymentKind};
use common::domain::registration::{Registration, RegistrationStatus};
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::id::new_id;
use common::jobs::DeleteBillingKey;
use common::queue::Finish;
use common::store::events::{Entry, Settled};
use common::store::{billing_key_deletions, events, registrations, subscriptions};
use common::{jobs, store};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::env::Env;
use crate::error::SettleError;
use crate::notifications;

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

pub(super) async fn replace(
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

pub(super) async fn give_up(
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
