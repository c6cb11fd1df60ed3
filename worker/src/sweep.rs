//! Makes progress certain: whatever is unfinished and has no live job any more gets one.

use chrono::{DateTime, TimeDelta, Utc};
use common::queue::JobError;
use common::{
    commands::deliver_events::enqueue_next,
    jobs::{
        self, ChargeSubscription, ConfirmPayment, DeleteBillingKey, EndIncompleteSubscription, HandleWebhook,
        IssueBillingKey, RefundPayment, SendEmail,
    },
    store::{
        billing_key_deletions, gate, registrations, sweep, webhook_deliveries,
        webhooks::{self, WebhookEnd},
    },
    webhook::without_billing_keys,
};
use sqlx::PgConnection;

use crate::{
    charge,
    daily::price_changes::spread_prices,
    env::{Env, raise_alarm},
};

/// What has not moved for this long, and has no job, has lost it.
const STRANDED_AFTER: TimeDelta = TimeDelta::minutes(2);
const BATCH: i64 = 1_000;
/// A webhook that no job could make anything of for this long is put before the operators.
const WEBHOOKS_LIVE_FOR: TimeDelta = TimeDelta::days(3);

/// Looks once. Answers how many jobs it made.
pub async fn sweep(env: &Env) -> Result<usize, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let mut made = money_jobs(&mut tx, now).await?;
    made = made.saturating_add(other_jobs(&mut tx, now).await?);
    give_up_webhooks(&mut tx, now).await?;
    charge::outcome::review_overdue(&mut tx, now).await?;
    tx.commit().await?;
    if made > 0 {
        metrics::counter!("billing_swept_total").increment(u64::try_from(made).unwrap_or_default());
        tracing::warn!(made, "the sweep found unfinished work without a job");
    }
    spread_prices(env, true).await?;
    Ok(made)
}

async fn money_jobs(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<usize, JobError> {
    let (mut made, before) = (0_usize, now - STRANDED_AFTER);
    for lost in sweep::stranded_invoices(conn, before, BATCH).await? {
        let sweep::StrandedInvoice { invoice_id, subscription_id, first_payment_id, first_order_id } = lost;
        if let Some((payment_id, order_id)) = first_payment_id.zip(first_order_id) {
            let job = ConfirmPayment { payment_id, invoice_id, subscription_id, order_id };
            jobs::enqueue(conn, &job, now, now).await?;
        } else {
            let job = ChargeSubscription { invoice_id, subscription_id, by_scan: false };
            jobs::enqueue(conn, &job, now, now).await?;
        }
        made = made.saturating_add(1);
    }
    for (refund_id, subscription_id) in sweep::stranded_refunds(conn, before, BATCH).await? {
        jobs::enqueue(conn, &RefundPayment { refund_id, subscription_id }, now, now).await?;
        made = made.saturating_add(1);
    }
    for subscription_id in sweep::stranded_incomplete(conn, before, BATCH).await? {
        jobs::enqueue(conn, &EndIncompleteSubscription { subscription_id }, now, now).await?;
        made = made.saturating_add(1);
    }
    Ok(made)
}

/// Cards, letters, and what is told from one side to the other.
async fn other_jobs(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<usize, JobError> {
    let (mut made, before) = (0_usize, now - STRANDED_AFTER);
    for (registration_id, subscription_id) in registrations::stranded(conn, before, BATCH).await? {
        jobs::enqueue(conn, &IssueBillingKey { registration_id, subscription_id }, now, now).await?;
        made = made.saturating_add(1);
    }
    for (deletion_id, subscription_id) in billing_key_deletions::stranded(conn, before, BATCH).await? {
        jobs::enqueue(conn, &DeleteBillingKey { deletion_id, subscription_id }, now, now).await?;
        made = made.saturating_add(1);
    }
    for (email_id, subscription_id) in sweep::stranded_emails(conn, before, BATCH).await? {
        jobs::enqueue(conn, &SendEmail { email_id, subscription_id }, now, now).await?;
        made = made.saturating_add(1);
    }
    for webhook_id in webhooks::stranded(conn, now - WEBHOOKS_LIVE_FOR, before, BATCH).await? {
        jobs::enqueue(conn, &HandleWebhook { webhook_id }, now, now).await?;
        made = made.saturating_add(1);
    }
    Ok(made.saturating_add(enqueue_next(conn, None, Some(before), now).await?))
}

/// They are hints: the daily comparison of the books still finds what they hinted at.
async fn give_up_webhooks(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), JobError> {
    for webhook in webhooks::abandoned(conn, now - WEBHOOKS_LIVE_FOR, BATCH).await? {
        let body = without_billing_keys(&webhook.body);
        let note = "no job could make anything of it for three days";
        webhooks::settle(conn, webhook.id, WebhookEnd::Failed, note, &body, now).await?;
        raise_alarm("webhook_given_up");
        tracing::error!(webhook.id = %webhook.id, "{note}");
    }
    Ok(())
}

/// What the breaker says is one thing for all workers, and each tells it.
pub async fn show_breaker(env: &Env) -> Result<(), JobError> {
    let stand = gate::read(&mut *env.pool.acquire().await?).await?;
    let is_open = stand.breaker.open_until.is_some();
    metrics::gauge!("billing_breaker_open").set(if is_open { 1.0 } else { 0.0 });
    Ok(())
}

/// Says where events go, so that from now on they are kept for it. A copied database says nothing.
pub async fn announce_endpoint(env: &Env) -> Result<(), JobError> {
    let Some(endpoint) = &env.endpoint else { return Ok(()) };
    let mut conn = env.pool.acquire().await?;
    let stand = gate::read(&mut conn).await?;
    if stand.bound_to.is_some() && stand.bound_to != env.instance {
        return Ok(());
    }
    if webhook_deliveries::announce_endpoint(
        &mut conn,
        &endpoint.origin,
        &endpoint.fingerprint,
        env.clock.now(),
    )
    .await?
    {
        tracing::info!(endpoint = endpoint.origin, "events go there from now on");
    }
    Ok(())
}
