//! Runs due jobs one by one, by hand: the same handlers and the same rows as under apalis, with no task in the background.

use std::time::Duration;

use apalis::prelude::Data;
use common::jobs::{
    ChargeSubscription, ConfirmPayment, DeleteBillingKey, DeliverEvent, EndIncompleteSubscription,
    HandleWebhook, IssueBillingKey, Job, KINDS, ReconcilePayments, RefundPayment, ScanDueSubscriptions,
    SendEmail, SendRenewalNotices,
};
use common::queue::{Backoff, Claimed, Finished, JobError, QueueError, Ran};

use crate::{env::Env, handlers};

const LEASE: Duration = Duration::from_mins(2);

/// Runs one due job of any kind. None: nothing is due.
pub async fn run_one(env: &Env, worker: &str) -> Result<Option<Finished>, QueueError> {
    let claimed = common::queue::claim(&env.pool, &KINDS, 1, LEASE, worker, env.clock.now()).await?;
    match claimed.into_iter().next() {
        Some(claimed) => run_claimed(env, claimed).await.map(Some),
        None => Ok(None),
    }
}

/// Runs a claimed job and writes what became of it.
pub async fn run_claimed(env: &Env, claimed: Claimed) -> Result<Finished, QueueError> {
    let lease = claimed.lease();
    let traceparent = lease.trace_context().map(str::to_owned);
    let answer = common::queue::caused_by(traceparent, Box::pin(call(env, claimed))).await;
    let mut conn = env.pool.acquire().await?;
    common::queue::settle(&mut conn, &lease, answer, Backoff::default(), env.clock.now(), 0.5).await
}

async fn call(env: &Env, claimed: Claimed) -> Result<Ran, JobError> {
    let (lease, data) = (claimed.lease(), Data::new(env.clone()));
    match claimed.kind.as_str() {
        ConfirmPayment::KIND => {
            handlers::confirm_payment(serde_json::from_value(claimed.args)?, lease, data).await
        }
        ChargeSubscription::KIND => {
            handlers::charge_subscription(serde_json::from_value(claimed.args)?, lease, data).await
        }
        RefundPayment::KIND => {
            handlers::refund_payment(serde_json::from_value(claimed.args)?, lease, data).await
        }
        IssueBillingKey::KIND => {
            handlers::issue_billing_key(serde_json::from_value(claimed.args)?, lease, data).await
        }
        DeleteBillingKey::KIND => {
            handlers::delete_billing_key(serde_json::from_value(claimed.args)?, lease, data).await
        }
        EndIncompleteSubscription::KIND => {
            handlers::end_incomplete_subscription(serde_json::from_value(claimed.args)?, lease, data).await
        }
        ScanDueSubscriptions::KIND => {
            handlers::scan_due_subscriptions(serde_json::from_value(claimed.args)?, lease, data).await
        }
        SendRenewalNotices::KIND => {
            handlers::send_renewal_notices(serde_json::from_value(claimed.args)?, lease, data).await
        }
        SendEmail::KIND => handlers::send_email(serde_json::from_value(claimed.args)?, lease, data).await,
        HandleWebhook::KIND => {
            handlers::handle_webhook(serde_json::from_value(claimed.args)?, lease, data).await
        }
        ReconcilePayments::KIND => {
            handlers::reconcile_payments(serde_json::from_value(claimed.args)?, lease, data).await
        }
        DeliverEvent::KIND => {
            handlers::deliver_event(serde_json::from_value(claimed.args)?, lease, data).await
        }
        other => Err(JobError::new(format!("no handler for {other}"))),
    }
}
