//! Subscribing with a registered card: subscription, invoice, registration and jobs in one commit; the gateway is called later.
//!
//! The same one-time key again is the same subscription. What does not begin by its deadline is ended by its own job.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::begin;
use super::begin::NewSubscription;
use super::register_card::{RegisterError, record_registration};
use crate::domain::calendar::{Cycle, OutOfCalendar};
use crate::domain::incomplete::REPAIR_TIME;
use crate::domain::money::Won;
use crate::domain::purchase::AlreadySubscribed;
use crate::domain::registration::Registration;
use crate::domain::subscription::Subscription;
use crate::jobs;
use crate::jobs::EndIncompleteSubscription;
use crate::store::{StoreError, plans, registrations, subscriptions, users};

/// What the registration window handed to the customer's browser, and what is to be bought, checked for form.
#[derive(Debug, Clone)]
pub struct Subscribing {
    pub user_id: Uuid,
    pub auth_key: String,
    pub customer_key: String,
    pub plan: String,
    pub cycle: Cycle,
    /// What the customer was shown; where it is not the price any more, nothing is recorded.
    pub amount: Option<Won>,
    pub customer_email: String,
    pub customer_name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    #[error("there is no plan {0:?}")]
    UnknownPlan(String),
    #[error("the plan costs {price}, not {asked}")]
    WrongAmount { price: Won, asked: Won },
    #[error(transparent)]
    AlreadySubscribed(#[from] AlreadySubscribed),
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

/// Records the request, or finds the one recorded for the same one-time key before. The caller commits.
///
/// Two requests with one key at once: the unique hash lets one insert, and the other starts over and finds it (the caller
/// retries once on [`RegisterError::AuthKeyTaken`]).
pub async fn subscribe(
    conn: &mut PgConnection,
    asked: &Subscribing,
    now: DateTime<Utc>,
) -> Result<Registration, SubscribeError> {
    if let Some(recorded) = recorded_before(conn, asked).await? {
        return Ok(recorded);
    }
    let plan = plans::find(conn, &asked.plan).await?;
    let plan = plan.ok_or_else(|| SubscribeError::UnknownPlan(asked.plan.clone()))?;
    let price = plan.price(asked.cycle);
    if let Some(shown) = asked.amount.filter(|shown| *shown != price) {
        return Err(SubscribeError::WrongAmount { price, asked: shown });
    }
    let (email, name) = (asked.customer_email.as_str(), asked.customer_name.as_str());
    users::ensure(conn, asked.user_id, Some(email), Some(name), now).await?;
    if let Err(refused) = begin::make_way::<SubscribeError>(conn, asked.user_id, &plan, now).await {
        // The same key may have been recorded while this request waited for the customer's row.
        return recorded_before(conn, asked).await?.ok_or(refused);
    }
    let repair_until = now + REPAIR_TIME;
    let new = NewSubscription {
        user_id: asked.user_id,
        plan: &asked.plan,
        cycle: asked.cycle,
        amount: price,
        customer_key: &asked.customer_key,
        customer_email: email,
        customer_name: name,
        repair_until: Some(repair_until),
    };
    let (subscription, _) = begin::insert::<SubscribeError>(conn, &new, now).await?;
    let recorded = record_registration(conn, &subscription, &asked.auth_key, now).await?;
    let end = EndIncompleteSubscription { subscription_id: subscription.id };
    jobs::enqueue(conn, &end, repair_until, now).await?;
    Ok(recorded)
}

/// The registration recorded for this one-time key, if there is one. An error where it was used for something else.
async fn recorded_before(
    conn: &mut PgConnection,
    asked: &Subscribing,
) -> Result<Option<Registration>, SubscribeError> {
    let hash = Sha256::digest(asked.auth_key.as_bytes());
    let Some(recorded) = registrations::of_auth_key(conn, &hash).await? else { return Ok(None) };
    let subscription = subscriptions::find(conn, recorded.subscription_id).await?;
    let same = subscription.is_some_and(|subscription| is_same(asked, &subscription));
    if same { Ok(Some(recorded)) } else { Err(RegisterError::AuthKeyTaken.into()) }
}

fn is_same(asked: &Subscribing, recorded: &Subscription) -> bool {
    recorded.user_id == asked.user_id
        && recorded.customer_key == asked.customer_key
        && recorded.plan == asked.plan
        && recorded.cycle == asked.cycle
        && recorded.repair_until.is_some()
}
