//! Giving money back: the request and its job in one commit; the gateway is called later, by the job.
//!
//! A death before the commit leaves nothing; after it, the refund is on record and its job, or the sweep, makes it. The
//! subscription's lock orders requests among themselves and against the worker, and the schema has the last word on how
//! much may go back.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::money::Won;
use crate::domain::payment::{Payment, PaymentStatus};
use crate::domain::refund::Refund;
use crate::id::new_key;
use crate::jobs;
use crate::jobs::RefundPayment;
use crate::store::refunds::Requested;
use crate::store::{StoreError, payments, refunds, subscriptions};

#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    #[error("there is no such payment")]
    NotFound,
    #[error("the payment has captured nothing that could go back")]
    NotRefundable,
    #[error("no more than {0} is left to go back")]
    TooMuch(Won),
    #[error(
        "a deposit goes back to a bank account that its customer names: refund it in Toss's dashboard, and it is booked here"
    )]
    NeedsBankAccount,
    #[error("another refund of the payment is under way")]
    InProgress,
    #[error("the key was used before with other content")]
    KeyTaken,
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

impl From<StoreError> for RefundError {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some("refunds_one_unfinished_per_payment") => Self::InProgress,
            Some("refunds_of_captured_money") => Self::NotRefundable,
            Some("refunds_at_most_captured") => Self::TooMuch(Won::ZERO),
            Some(_) | None => Self::Store(error),
        }
    }
}

/// What is to go back, and who says so.
#[derive(Debug, Clone, Copy)]
pub struct RefundRequest<'a> {
    pub payment_id: Uuid,
    /// None: all that is left.
    pub amount: Option<Won>,
    /// Told to the gateway and to the customer, 1–200 characters.
    pub reason: &'a str,
    /// The same request twice is one refund. None: a request of its own each time.
    pub key: Option<&'a str>,
    pub actor: &'a str,
}

/// Records the request and its job, or finds what was recorded under its key before. The caller commits.
pub async fn request_refund(
    conn: &mut PgConnection,
    request: RefundRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Requested, RefundError> {
    let found = payments::find(conn, request.payment_id).await?.ok_or(RefundError::NotFound)?;
    subscriptions::lock(conn, found.subscription_id).await?.ok_or(RefundError::NotFound)?;
    // Ours cannot be confused with what the worker asks for by itself.
    let request_key = request.key.map_or_else(|| format!("once:{}", new_key()), |key| format!("key:{key}"));
    if let Some(known) = refunds::of_key(conn, request.payment_id, &request_key).await? {
        let same =
            known.reason == request.reason && request.amount.is_none_or(|amount| amount == known.amount);
        return if same { Ok(known) } else { Err(RefundError::KeyTaken) };
    }
    let payment = payments::find(conn, request.payment_id).await?.ok_or(RefundError::NotFound)?;
    let amount = amount_to_refund(conn, &payment, request.amount).await?;
    let refund = Refund::new(payment.id, amount, request.reason, request.actor, now);
    refunds::insert(conn, &refund, &request_key, now).await?;
    let job = RefundPayment { refund_id: refund.id, subscription_id: payment.subscription_id };
    jobs::enqueue(conn, &job, now, now).await?;
    tracing::info!(refund.id = %refund.id, payment.id = %payment.id, amount = amount.get(), actor = request.actor, "refund asked for");
    refunds::find(conn, refund.id).await?.ok_or(RefundError::NotFound)
}

async fn amount_to_refund(
    conn: &mut PgConnection,
    payment: &Payment,
    asked: Option<Won>,
) -> Result<Won, RefundError> {
    match payment.status {
        PaymentStatus::Completed | PaymentStatus::PartiallyRefunded => {}
        PaymentStatus::Pending | PaymentStatus::Unknown | PaymentStatus::Failed | PaymentStatus::Refunded => {
            return Err(RefundError::NotRefundable);
        }
    }
    if payments::is_deposit(conn, payment.id).await? {
        return Err(RefundError::NeedsBankAccount);
    }
    let before = refunds::made_or_under_way(conn, payment.id).await?;
    if before.is_under_way {
        return Err(RefundError::InProgress);
    }
    let left = payment.amount.less(before.amount).filter(|left| *left > Won::ZERO);
    let left = left.ok_or(RefundError::NotRefundable)?;
    let amount = asked.unwrap_or(left);
    if amount > left { Err(RefundError::TooMuch(left)) } else { Ok(amount) }
}
