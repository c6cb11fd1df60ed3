//! Records what the gateway said: attempt, invoice, subscription, next job, e-mail and the job's own end, in one commit.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{Finish, JobError, Lease, QueueError, Ran};
use common::{
    domain::{
        outcome::{NotSent, Outcome, UnknownOutcome, WaitingPayment},
        payment::{Payment, PaymentKind, PaymentStatus, REVIEW_AFTER},
        subscription::SubscriptionStatus,
    },
    id::new_key,
    store::{self, StoreError, payments},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{context::ChargeContext, settle_declined, settle_paid};
use crate::{
    crash,
    env::{Env, raise_alarm},
    error::SettleError,
    gateway::health::{self, Caller},
    notifications,
};

/// Records the outcome of an attempt, however long the database is away meanwhile: the answer is held in hand.
pub(crate) async fn record(
    env: &Env,
    lease: &Lease,
    attempt: &Payment,
    caller: Caller,
    outcome: Outcome,
) -> Result<Ran, JobError> {
    let patience = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(60)
        .with_jitter();
    let heard = || health::record_gateway_health(env, caller, &outcome);
    if let Err(error) = heard.retry(patience).when(StoreError::is_unavailable).await {
        tracing::warn!(%error, "what the answer says about the gateway was not kept");
    }
    let once = || write(env, lease, attempt, &outcome);
    let ran = once.retry(patience).when(SettleError::database_is_away).await?;
    crash::point("after_outcome");
    Ok(ran)
}

async fn write(env: &Env, lease: &Lease, attempt: &Payment, outcome: &Outcome) -> Result<Ran, SettleError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let finish = settle(env, &mut tx, attempt, outcome, now).await?;
    crash::point("before_outcome_commit");
    match lease.commit(tx, finish, now).await {
        Ok(committed) => Ok(Ran::Committed(committed)),
        // The job is somebody else's now; the gateway's words are not. They are written without it.
        Err(QueueError::LeaseLost(_)) => {
            let mut tx = env.pool.begin().await?;
            settle(env, &mut tx, attempt, outcome, now).await?;
            tx.commit().await?;
            Ok(Ran::Finish(Finish::Done(Some("recorded after the lease was lost".into()))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the outcome into the caller's transaction; answers what becomes of the job.
pub(super) async fn settle(
    env: &Env,
    conn: &mut PgConnection,
    attempt: &Payment,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let context = ChargeContext::read(conn, attempt.subscription_id, attempt.invoice_id).await?;
    let context = context.ok_or(SettleError::Vanished)?;
    let current = context.attempt(attempt.id).ok_or(SettleError::Vanished)?;
    if !current.is_unfinished() {
        warn_if_contradicted(current, outcome);
        return Ok(Finish::Done(Some("settled meanwhile by another worker".into())));
    }
    match outcome {
        Outcome::Paid(receipt) => settle_paid::settle(env, conn, &context, current, receipt, now).await,
        Outcome::Declined(refusal) => {
            settle_declined::settle(env, conn, &context, current, refusal, now).await
        }
        // It says nothing about a sending that came after.
        Outcome::NotSent(_) if !attempt.is_same_sending(current) => {
            let doubt = UnknownOutcome::of("this sending was not sent, and it was sent again meanwhile");
            unknown(conn, current, &doubt, false, now).await
        }
        Outcome::NotSent(why) => not_sent(conn, current, why, now).await,
        Outcome::Waiting(waiting) => wait(env, conn, &context, current, waiting, now).await,
        Outcome::Unknown(doubt) => unknown(conn, current, doubt, false, now).await,
        Outcome::NoSuchOrder => {
            let doubt = UnknownOutcome::of("the gateway does not know the order (yet)");
            unknown(conn, current, &doubt, current.not_found_counts(now), now).await
        }
    }
}

/// A settled attempt and a later, different answer: somebody has to look, nothing is changed.
fn warn_if_contradicted(settled: &Payment, outcome: &Outcome) {
    let captured = match settled.status {
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => true,
        PaymentStatus::Failed | PaymentStatus::Pending | PaymentStatus::Unknown => false,
    };
    let contradicts = match outcome {
        Outcome::Paid(receipt) => {
            !captured || settled.payment_key.as_deref() != Some(receipt.payment_key.as_str())
        }
        Outcome::Declined(_) => captured,
        Outcome::Waiting(_) | Outcome::NotSent(_) | Outcome::Unknown(_) | Outcome::NoSuchOrder => false,
    };
    if contradicts {
        raise_alarm("contradicted_outcome");
        tracing::error!(payment.id = %settled.id, status = %settled.status, "a settled payment was answered differently");
    }
}

async fn not_sent(
    conn: &mut PgConnection,
    attempt: &Payment,
    why: &NotSent,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let fresh_key = why.key_is_burnt.then(new_key);
    payments::not_sent(conn, attempt.id, why, fresh_key).await?;
    let code = why.code.as_deref().unwrap_or("no answer");
    if why.needs_operator {
        raise_alarm("not_sent");
        tracing::error!(
            toss.code = code,
            message = why.message,
            "the gateway refuses the request: an operator is needed"
        );
    }
    let pause = match (why.needs_operator, attempt.kind) {
        (_, PaymentKind::First) => TimeDelta::seconds(20),
        (true, PaymentKind::Renewal | PaymentKind::NewCard) => TimeDelta::hours(1),
        (false, PaymentKind::Renewal | PaymentKind::NewCard) => later(attempt, now),
    };
    let reason = format!("not sent, no try spent: {code} {}", why.message);
    Ok(Finish::Snooze { reason, run_at: now + pause })
}

/// The gateway has the payment, and it has not ended: the customer is told where to pay, and it is asked about again.
async fn wait(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    waiting: &WaitingPayment,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    payments::wait_for(conn, attempt.id, waiting, now).await?;
    let due_at = waiting.account.as_ref().map(|account| account.due_at).or(attempt.deposit_due_at);
    let waited_for = Payment {
        status: PaymentStatus::Unknown,
        unknown_since: attempt.unknown_since.or(Some(now)),
        deposit_due_at: due_at,
        not_found_count: 0,
        ..attempt.clone()
    };
    if waited_for.is_for_review(now) && attempt.review_since.is_none() {
        payments::mark_for_review(conn, attempt.id, now).await?;
        alarm_review(attempt.id);
    }
    let is_wanted = context.subscription.status == SubscriptionStatus::Incomplete;
    if let Some(account) = waiting.account.as_ref().filter(|_| is_wanted) {
        notifications::deposit_awaited(env, conn, &context.subscription, attempt, account, now).await?;
        store::announce_settled(conn, &attempt.order_id).await?;
    }
    let reason = format!("Toss has the payment and has not ended it: {}", waiting.status);
    Ok(Finish::Snooze { reason, run_at: waited_for.next_lookup(now) })
}

/// Soon while the outage is young, half-hourly later.
fn later(attempt: &Payment, now: DateTime<Utc>) -> TimeDelta {
    let trying_for = now - attempt.created_at;
    (trying_for / 2).clamp(TimeDelta::seconds(30), TimeDelta::minutes(30))
}

async fn unknown(
    conn: &mut PgConnection,
    attempt: &Payment,
    doubt: &UnknownOutcome,
    missed: bool,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    payments::unknown(conn, attempt.id, doubt, missed, now).await?;
    let since = attempt.unknown_since.unwrap_or(now);
    let waiting = Payment {
        status: PaymentStatus::Unknown,
        unknown_since: Some(since),
        not_found_count: attempt.not_found_count.saturating_add(i32::from(missed)),
        ..attempt.clone()
    };
    if waiting.is_for_review(now) && attempt.review_since.is_none() {
        payments::mark_for_review(conn, attempt.id, now).await?;
        alarm_review(attempt.id);
    }
    let reason = format!("unknown outcome, asked again until it is known: {}", doubt.message);
    Ok(Finish::Snooze { reason, run_at: waiting.next_lookup(now) })
}

/// Whoever holds it: its job may be parked, lost, or kept from asking by a gateway that does not work.
pub(crate) async fn review_overdue(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    let overdue = payments::mark_overdue_for_review(conn, now - REVIEW_AFTER, now).await?;
    overdue.into_iter().for_each(alarm_review);
    Ok(())
}

fn alarm_review(payment_id: Uuid) {
    raise_alarm("payment_in_review");
    tracing::error!(payment.id = %payment_id, "payment needs manual review");
}
