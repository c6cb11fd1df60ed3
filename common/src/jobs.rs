//! The jobs of billing: what each carries (ids, never data), what it is about, and what makes it unique.

use chrono::{DateTime, NaiveDate, Utc};
use queue::NewJob;
pub use queue::{Enqueued, QueueError, caused_by};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::calendar::seoul_date;
use crate::id::{event_ref, subscription_ref};

/// One kind of job.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the job table.
    const KIND: &'static str;
    /// Lower runs first within the kind; kinds do not compete with each other.
    const PRIORITY: i16 = 100;
    /// Tries before it fails for good. The sweep makes a new job while the work is still unfinished.
    const MAX_ATTEMPTS: i32 = 25;

    /// The row that this job moves on: while the row is unfinished and has no job, the sweep makes one.
    fn about(&self) -> Option<Uuid> {
        None
    }

    /// The ids this job is about, for people who read the job table.
    fn subject(&self) -> Value;

    /// At most one job of this kind is ever made under this key, however often it is asked for. `None` where the row that
    /// the job is about is unique already, and the sweep may have to make the job again.
    fn unique_key(&self) -> Option<String> {
        None
    }
}

/// The row that `job` becomes.
pub fn row<J: Job>(job: &J, run_at: DateTime<Utc>) -> Result<NewJob, QueueError> {
    let args =
        serde_json::to_value(job).map_err(|error| QueueError::Database(sqlx::Error::Encode(error.into())))?;
    Ok(NewJob {
        about: job.about(),
        subject: job.subject(),
        priority: J::PRIORITY,
        max_attempts: J::MAX_ATTEMPTS,
        unique_key: job.unique_key(),
        ..NewJob::new(J::KIND, args, run_at)
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

/// Confirms a payment that the customer authenticated in the payment window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmPayment {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub subscription_id: Uuid,
    pub order_id: String,
}

impl Job for ConfirmPayment {
    const KIND: &'static str = "confirm-payment";

    fn about(&self) -> Option<Uuid> {
        Some(self.invoice_id)
    }

    fn subject(&self) -> Value {
        json!({
            "subscription": subscription_ref(self.subscription_id),
            "invoice": self.invoice_id,
            "payment": self.payment_id,
            "order": self.order_id,
        })
    }
}

/// Asks the gateway about what an operator says became of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckPaymentClaim {
    pub claim_id: Uuid,
    pub payment_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for CheckPaymentClaim {
    const KIND: &'static str = "check-payment-claim";

    fn about(&self) -> Option<Uuid> {
        Some(self.claim_id)
    }

    fn subject(&self) -> Value {
        json!({
            "subscription": subscription_ref(self.subscription_id),
            "payment": self.payment_id,
            "claim": self.claim_id,
        })
    }
}

/// Works off one operator's action on everything that matched a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunBulkAction {
    pub bulk_id: Uuid,
}

impl Job for RunBulkAction {
    const KIND: &'static str = "run-bulk-action";

    fn about(&self) -> Option<Uuid> {
        Some(self.bulk_id)
    }

    fn subject(&self) -> Value {
        json!({ "bulk": self.bulk_id })
    }
}

/// Takes the next step of one invoice: charge, look-up, retry or end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeSubscription {
    pub invoice_id: Uuid,
    pub subscription_id: Uuid,
    /// Set by the scan, so that its job for an invoice is made once, however often the day is scanned.
    #[serde(default)]
    pub by_scan: bool,
}

impl Job for ChargeSubscription {
    const KIND: &'static str = "charge-subscription";

    fn about(&self) -> Option<Uuid> {
        Some(self.invoice_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "invoice": self.invoice_id })
    }

    fn unique_key(&self) -> Option<String> {
        self.by_scan.then(|| format!("invoice:{}", self.invoice_id))
    }
}

/// Refunds captured money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundPayment {
    pub refund_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for RefundPayment {
    const KIND: &'static str = "refund-payment";

    fn about(&self) -> Option<Uuid> {
        Some(self.refund_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "refund": self.refund_id })
    }
}

/// Issues the billing key of a registered card, charges what is open with it, and replaces the old card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueBillingKey {
    pub registration_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for IssueBillingKey {
    const KIND: &'static str = "issue-billing-key";

    fn about(&self) -> Option<Uuid> {
        Some(self.registration_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "registration": self.registration_id })
    }
}

/// Deletes a billing key that is no longer used at the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteBillingKey {
    pub deletion_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for DeleteBillingKey {
    const KIND: &'static str = "delete-billing-key";

    fn about(&self) -> Option<Uuid> {
        Some(self.deletion_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "billingKeyDeletion": self.deletion_id })
    }
}

/// Ends a subscription whose first payment did not arrive by its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndIncompleteSubscription {
    pub subscription_id: Uuid,
}

impl Job for EndIncompleteSubscription {
    const KIND: &'static str = "end-incomplete-subscription";

    fn about(&self) -> Option<Uuid> {
        Some(self.subscription_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "incomplete": self.subscription_id })
    }
}

/// Reads back from the gateway what a webhook announces, and books it when the gateway confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandleWebhook {
    pub webhook_id: Uuid,
}

impl Job for HandleWebhook {
    const KIND: &'static str = "handle-webhook";

    fn about(&self) -> Option<Uuid> {
        Some(self.webhook_id)
    }

    fn subject(&self) -> Value {
        json!({ "webhook": self.webhook_id })
    }
}

/// Delivers one outgoing event to the merchant's application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliverEvent {
    pub event_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for DeliverEvent {
    const KIND: &'static str = "deliver-event";

    fn about(&self) -> Option<Uuid> {
        Some(self.event_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "event": event_ref(self.event_id) })
    }
}

/// Sends one e-mail of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendEmail {
    pub email_id: Uuid,
    pub subscription_id: Uuid,
}

impl Job for SendEmail {
    const KIND: &'static str = "send-email";

    fn about(&self) -> Option<Uuid> {
        Some(self.email_id)
    }

    fn subject(&self) -> Value {
        json!({ "subscription": subscription_ref(self.subscription_id), "email": self.email_id })
    }
}

/// Makes an invoice and a charge job for every subscription that is due. Runs daily.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanDueSubscriptions {
    /// Everything due on or before this civil date in Seoul.
    pub date: NaiveDate,
}

impl Job for ScanDueSubscriptions {
    const KIND: &'static str = "scan-due-subscriptions";

    fn subject(&self) -> Value {
        json!({ "date": self.date })
    }

    /// One scan per day, whoever asks for it.
    fn unique_key(&self) -> Option<String> {
        Some(format!("cron:{}", self.date))
    }
}

/// Tells customers three days ahead that their card will be charged. Runs daily, and for one subscription whose charge comes
/// back within these days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendRenewalNotices {
    /// The civil date in Seoul from which the three days are counted.
    pub date: NaiveDate,
    /// The only subscription that it is about. `None` for the daily run.
    #[serde(default)]
    pub subscription_id: Option<Uuid>,
}

impl SendRenewalNotices {
    /// For a subscription whose next charge comes back: what its customer was told, or was not told, holds no more.
    pub fn about(subscription_id: Uuid, now: DateTime<Utc>) -> Self {
        Self { date: seoul_date(now), subscription_id: Some(subscription_id) }
    }
}

impl Job for SendRenewalNotices {
    const KIND: &'static str = "send-renewal-notices";

    fn subject(&self) -> Value {
        match self.subscription_id {
            Some(id) => json!({ "date": self.date, "subscription": subscription_ref(id) }),
            None => json!({ "date": self.date }),
        }
    }

    /// One daily run per day. A notice itself is written once.
    fn unique_key(&self) -> Option<String> {
        self.subscription_id.is_none().then(|| format!("cron:{}", self.date))
    }
}

/// Compares one day of the gateway's transactions with our records, both ways. Runs daily.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcilePayments {
    /// The civil day in Seoul on which the money moved.
    pub date: NaiveDate,
    /// The day of the daily run that asks for it. `None` when an operator asks.
    #[serde(default)]
    pub daily_run: Option<NaiveDate>,
}

impl Job for ReconcilePayments {
    const KIND: &'static str = "reconcile-payments";

    fn subject(&self) -> Value {
        json!({ "date": self.date })
    }

    /// Each daily run compares a day once. An operator may compare a day as often as needed.
    fn unique_key(&self) -> Option<String> {
        self.daily_run.map(|run| format!("cron:{}:{run}", self.date))
    }
}
