//! Taking on a confirmation: subscription, invoice, first payment and job in one commit; the gateway is called later.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::begin;
use super::begin::NewSubscription;
use crate::domain::calendar::{Cycle, OutOfCalendar};
use crate::domain::money::Won;
use crate::domain::payment::{Payment, PaymentKind};
use crate::domain::purchase::AlreadySubscribed;
use crate::domain::subscription::Subscription;
use crate::jobs;
use crate::jobs::ConfirmPayment;
use crate::store::{StoreError, payments, plans, subscriptions, users};

/// What a customer's browser brings back from the payment window, checked for form.
#[derive(Debug, Clone)]
pub struct Confirmation {
    pub user_id: Uuid,
    pub payment_key: String,
    pub order_id: String,
    pub amount: Won,
    pub plan: String,
    pub cycle: Cycle,
    pub customer_key: String,
    pub customer_email: String,
    pub customer_name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("there is no plan {0:?}")]
    UnknownPlan(String),
    #[error("the plan costs {price}, the order says {asked}")]
    WrongAmount { price: Won, asked: Won },
    #[error("the order was confirmed before with other content")]
    OrderTaken,
    #[error(transparent)]
    AlreadySubscribed(#[from] AlreadySubscribed),
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

/// Records the confirmation, or finds the one recorded under the same order before. The caller commits.
///
/// Two requests for one order at once: the unique order id lets one insert, and the other starts over and finds it
/// (the caller retries once on `payments_order_id_key`).
pub async fn record_confirmation(
    conn: &mut PgConnection,
    asked: &Confirmation,
    now: DateTime<Utc>,
) -> Result<Payment, ConfirmError> {
    if let Some(recorded) = recorded_before(conn, asked).await? {
        return Ok(recorded);
    }
    let plan = plans::find(conn, &asked.plan).await?;
    let plan = plan.ok_or_else(|| ConfirmError::UnknownPlan(asked.plan.clone()))?;
    let price = plan.price(asked.cycle);
    if asked.amount != price {
        return Err(ConfirmError::WrongAmount { price, asked: asked.amount });
    }
    users::ensure(conn, asked.user_id, Some(&asked.customer_email), Some(&asked.customer_name), now).await?;
    if let Err(refused) = begin::make_way::<ConfirmError>(conn, asked.user_id, &plan, now).await {
        // The same order may have been recorded while this request waited for the customer's row.
        return recorded_before(conn, asked).await?.ok_or(refused);
    }
    insert(conn, asked, now).await
}

/// The payment recorded under this order, if there is one. An error where its content differs.
async fn recorded_before(
    conn: &mut PgConnection,
    asked: &Confirmation,
) -> Result<Option<Payment>, ConfirmError> {
    let Some(recorded) = payments::find_by_order(conn, &asked.order_id).await? else { return Ok(None) };
    let subscription = subscriptions::find(conn, recorded.subscription_id).await?;
    let same = subscription.is_some_and(|subscription| is_same(asked, &recorded, &subscription));
    if same { Ok(Some(recorded)) } else { Err(ConfirmError::OrderTaken) }
}

fn is_same(asked: &Confirmation, recorded: &Payment, subscription: &Subscription) -> bool {
    recorded.user_id == asked.user_id
        && recorded.kind == PaymentKind::First
        && recorded.payment_key.as_deref() == Some(asked.payment_key.as_str())
        && recorded.amount == asked.amount
        && subscription.plan == asked.plan
        && subscription.cycle == asked.cycle
}

async fn insert(
    conn: &mut PgConnection,
    asked: &Confirmation,
    now: DateTime<Utc>,
) -> Result<Payment, ConfirmError> {
    let new = NewSubscription {
        user_id: asked.user_id,
        plan: &asked.plan,
        cycle: asked.cycle,
        amount: asked.amount,
        customer_key: &asked.customer_key,
        customer_email: &asked.customer_email,
        customer_name: &asked.customer_name,
        repair_until: None,
    };
    let (subscription, invoice) = begin::insert::<ConfirmError>(conn, &new, now).await?;
    let (order_id, payment_key) = (asked.order_id.clone(), asked.payment_key.clone());
    let attempt = Payment::first(&subscription, &invoice, order_id, payment_key, now);
    payments::insert(conn, &attempt).await?;
    let job = ConfirmPayment {
        payment_id: attempt.id,
        invoice_id: invoice.id,
        subscription_id: subscription.id,
        order_id: attempt.order_id.clone(),
    };
    jobs::enqueue(conn, &job, now, now).await?;
    Ok(attempt)
}
