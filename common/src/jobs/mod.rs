//! The jobs of billing: what each carries (ids, never data), for whom it is, and what makes it unique.

mod charge_subscription;
mod confirm_payment;
mod delete_billing_key;
mod deliver_event;
mod end_incomplete_subscription;
mod handle_webhook;
mod issue_billing_key;
mod reconcile_payments;
mod refund_payment;
mod scan_due_subscriptions;
mod send_email;
mod send_renewal_notices;

pub use charge_subscription::ChargeSubscription;
pub use confirm_payment::ConfirmPayment;
pub use delete_billing_key::DeleteBillingKey;
pub use deliver_event::DeliverEvent;
pub use end_incomplete_subscription::EndIncompleteSubscription;
pub use handle_webhook::HandleWebhook;
pub use issue_billing_key::IssueBillingKey;
pub use reconcile_payments::ReconcilePayments;
pub use refund_payment::RefundPayment;
pub use scan_due_subscriptions::ScanDueSubscriptions;
pub use send_email::SendEmail;
pub use send_renewal_notices::SendRenewalNotices;

use chrono::{DateTime, Utc};
use queue::NewJob;
pub use queue::{Enqueued, QueueError, caused_by};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::PgConnection;

/// One kind of job.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the job table.
    const KIND: &'static str;
    /// Lower runs first within the kind; kinds do not compete with each other.
    const PRIORITY: i16 = 100;
    /// Tries before it fails for good. The sweep makes a new job while the work is still unfinished.
    const MAX_ATTEMPTS: i32 = 25;

    /// The ids this job is about, for people who read the job table.
    fn subject(&self) -> Value;

    /// At most one job of this kind is ever made under this key, however often it is asked for.
    fn unique_key(&self) -> Option<String>;
}

/// The row that `job` becomes.
pub fn row<J: Job>(job: &J, run_at: DateTime<Utc>) -> Result<NewJob, QueueError> {
    let args =
        serde_json::to_value(job).map_err(|error| QueueError::Database(sqlx::Error::Encode(error.into())))?;
    let new = NewJob::new(J::KIND, args, run_at)
        .subject(job.subject())
        .priority(J::PRIORITY)
        .max_attempts(J::MAX_ATTEMPTS);
    Ok(match job.unique_key() {
        Some(key) => new.unique_key(key),
        None => new,
    })
}

/// Queues `job` in the caller's transaction: it exists only once that commits.
pub async fn enqueue<J: Job>(
    conn: &mut PgConnection,
    job: &J,
    run_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Enqueued, QueueError> {
    queue::enqueue(conn, &row(job, run_at)?, now).await
}
