//! Taking on a new card: the registration and its job in one commit; the gateway is called later, by the job.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::id::{new_id, new_key};
use crate::jobs;
use crate::jobs::IssueBillingKey;
use crate::store::{StoreError, registrations, subscriptions};

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("there is no such subscription")]
    NotFound,
    #[error("the card was registered under another customer key")]
    OtherCustomer,
    #[error("the subscription is canceled")]
    Canceled,
    #[error("the first payment has not settled yet")]
    NotActive,
    #[error("another card of the subscription is being registered")]
    InProgress,
    #[error("the one-time key was used before for something else")]
    AuthKeyTaken,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

/// What the registration window handed to the customer's browser.
#[derive(Debug, Clone, Copy)]
pub struct NewCard<'a> {
    pub subscription_id: Uuid,
    pub user_id: Uuid,
    pub auth_key: &'a str,
    pub customer_key: &'a str,
}

/// Records the registration, or finds the one recorded for the same one-time key before. The caller commits.
pub async fn register_card(
    conn: &mut PgConnection,
    card: NewCard<'_>,
    now: DateTime<Utc>,
) -> Result<Registration, RegisterError> {
    let found = subscriptions::lock(conn, card.subscription_id).await?;
    let subscription =
        found.filter(|subscription| subscription.user_id == card.user_id).ok_or(RegisterError::NotFound)?;
    // A billing key charges only under the customer key it was issued for, and the browser's word is forgeable.
    if subscription.customer_key != card.customer_key {
        return Err(RegisterError::OtherCustomer);
    }
    let hash = Sha256::digest(card.auth_key.as_bytes());
    if let Some(known) = registrations::of_auth_key(conn, &hash).await? {
        let same = known.subscription_id == subscription.id;
        return if same { Ok(known) } else { Err(RegisterError::AuthKeyTaken) };
    }
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Suspended => {}
        SubscriptionStatus::Incomplete => match subscription.repair_until {
            Some(until) if now < until => {}
            Some(_) => return Err(RegisterError::Canceled),
            None => return Err(RegisterError::NotActive),
        },
        SubscriptionStatus::Canceled => return Err(RegisterError::Canceled),
    }
    record_registration(conn, &subscription, card.auth_key, now).await
}

/// The registration and its job, for a subscription that may have one.
pub(super) async fn record_registration(
    conn: &mut PgConnection,
    subscription: &Subscription,
    auth_key: &str,
    now: DateTime<Utc>,
) -> Result<Registration, RegisterError> {
    let registration = Registration {
        id: new_id(now),
        subscription_id: subscription.id,
        auth_key: Some(auth_key.to_owned()),
        customer_key: subscription.customer_key.clone(),
        idempotency_key: new_key(),
        status: RegistrationStatus::Pending,
        sealed_billing_key: None,
        card_number: None,
        payment_id: None,
        sent_at: None,
        first_sent_at: None,
        toss_code: None,
        toss_message: None,
        server_errors: 0,
    };
    let hash = Sha256::digest(auth_key.as_bytes());
    let inserted = registrations::insert(conn, &registration, subscription.user_id, &hash, now).await;
    inserted.map_err(|error| match error.constraint() {
        Some("card_registrations_one_unfinished") => RegisterError::InProgress,
        Some("card_registrations_auth_key_hash_key") => RegisterError::AuthKeyTaken,
        Some(_) | None => error.into(),
    })?;
    let job = IssueBillingKey { registration_id: registration.id, subscription_id: subscription.id };
    jobs::enqueue(conn, &job, now, now).await?;
    Ok(registration)
}
