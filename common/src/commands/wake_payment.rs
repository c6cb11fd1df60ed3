//! Has an unsettled payment's own job look at it now. Never a second way of settling.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::payment::{Payment, PaymentKind};
use crate::jobs;
use crate::jobs::{ChargeSubscription, ConfirmPayment, QueueError};
use crate::store::payments::LiveJob;
use crate::store::{StoreError, payments};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// This job runs now.
    Job(i64),
    /// The payment's job runs already, or waits for an operator.
    Busy,
}

/// Wakes the job that waits. A job that was lost is made anew. `by` is written beside the job.
pub async fn wake_payment(
    conn: &mut PgConnection,
    payment: &Payment,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Woken, StoreError> {
    let woken = match payments::live_job_of(conn, payment.invoice_id).await? {
        Some(LiveJob::Waiting { job, run_at }) if run_at > now => queue::retry_now(conn, job, now, by).await,
        Some(LiveJob::Waiting { job, .. }) => Ok(job),
        Some(LiveJob::Busy) => return Ok(Woken::Busy),
        None => enqueue(conn, payment, now).await,
    };
    match woken {
        Ok(job) => Ok(Woken::Job(job)),
        Err(QueueError::Database(error)) => Err(error.into()),
        // A worker took the job meanwhile and looks at the payment by itself.
        Err(_) => Ok(Woken::Busy),
    }
}

async fn enqueue(conn: &mut PgConnection, payment: &Payment, now: DateTime<Utc>) -> Result<i64, QueueError> {
    let Payment { invoice_id, subscription_id, .. } = *payment;
    let enqueued = match payment.kind {
        PaymentKind::First => {
            let (payment_id, order_id) = (payment.id, payment.order_id.clone());
            let job = ConfirmPayment { payment_id, invoice_id, subscription_id, order_id };
            jobs::enqueue(conn, &job, now, now).await?
        }
        PaymentKind::Renewal | PaymentKind::NewCard => {
            let job = ChargeSubscription { invoice_id, subscription_id, by_scan: false };
            jobs::enqueue(conn, &job, now, now).await?
        }
    };
    Ok(enqueued.id())
}
