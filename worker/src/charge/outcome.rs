//! Records what the gateway said: attempt, invoice, subscription, next job, e-mail and the job's own end, in one commit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::invoice::InvoiceStatus;
use common::domain::outcome::{Decline, NotSent, Outcome, Receipt, UnknownOutcome, WaitingPayment};
use common::domain::payment::{Payment, PaymentKind, PaymentStatus, REVIEW_AFTER};
use common::domain::subscription::SubscriptionStatus;
use common::id::{new_key, subscription_ref};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store;
use common::store::events::Entry;
use common::store::{StoreError, events, invoices, payments};
use sqlx::PgConnection;
use uuid::Uuid;

use super::context::ChargeContext;
use super::{settle_declined, settle_paid};
use crate::env::{Env, raise_alarm};
use crate::error::SettleError;
use crate::gateway::health::Caller;
use crate::gateway::rate_limiter::pause_of;
use crate::gateway::{answer, health};
use crate::{crash, notifications};

/// The buyer authenticates within 30 minutes and is confirmed within 10 more. Asked on for longer than that, a
/// confirmation would only repeat its refusal.
const CONFIRM_WITHIN: TimeDelta = TimeDelta::minutes(30);

/// Records the outcome of an attempt, however long the database cannot: the answer is held in hand.
pub(crate) async fn record(
    env: &Env,
    lease: &Lease,
    attempt: &Payment,
    caller: Caller,
    outcome: Outcome,
) -> Result<Ran, JobError> {
    let sign = health::sign_of(attempt, &outcome);
    // A probe's answer is for everybody: it does not wait for a row that somebody holds.
    let is_for_everybody = !sign.is_good_news() || matches!(caller, Caller::Probe(_));
    if is_for_everybody {
        health::record_gateway_health(env, caller, sign).await;
    }
    let (outcome, had_failures) = (&outcome, &AtomicBool::new(false));
    let written = answer::record(env, lease, "charge", |mut tx, now| async move {
        let context = ChargeContext::read(&mut tx, attempt.subscription_id, attempt.invoice_id).await?;
        let context = context.ok_or(SettleError::Vanished)?;
        had_failures.store(context.gateway.breaker(sign.account).failures > 0, Ordering::Relaxed);
        let finish = settle(env, &mut tx, &context, attempt, outcome, now).await?;
        crash::point("before_outcome_commit");
        Ok((tx, finish))
    });
    let ran = match written.await {
        Err(refused) => put_before_a_person(env, lease, attempt, outcome, &refused).await?,
        Ok(ran) => ran,
    };
    crash::point("after_outcome");
    // Mostly there is nothing to forget.
    if !is_for_everybody && had_failures.load(Ordering::Relaxed) {
        health::record_gateway_health(env, caller, sign).await;
    }
    Ok(ran)
}

/// The database refuses the outcome. Its facts go on record all the same, and nothing is sent again by itself.
async fn put_before_a_person(
    env: &Env,
    lease: &Lease,
    attempt: &Payment,
    outcome: &Outcome,
    refused: &SettleError,
) -> Result<Ran, SettleError> {
    answer::alarm_refused("charge", refused);
    let facts = &format!("{}; the database refused to record it: {refused}", facts(outcome));
    answer::record(env, lease, "charge in review", |mut tx, now| async move {
        let is_unfinished = payments::put_aside(&mut tx, attempt.id, facts, now).await?;
        if is_unfinished {
            alarm_review(attempt.id);
        }
        let reason = format!("for a person: {facts}");
        Ok((tx, Finish::Snooze { reason, run_at: now + TimeDelta::days(1) }))
    })
    .await
}

/// What the gateway said, for a person who settles it by hand.
fn facts(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Paid(Receipt { payment_key, paid_at, method, .. }) => {
            format!("Toss says paid: payment key {payment_key}, by {method}, at {paid_at}")
        }
        Outcome::Declined(Decline { code, message, .. }) => format!("Toss says declined: {code} {message}"),
        Outcome::Waiting(WaitingPayment { status, payment_key, .. }) => {
            format!("Toss says {status}: payment key {payment_key}")
        }
        Outcome::NotSent(NotSent { message, .. }) => format!("not sent: {message}"),
        Outcome::Unknown(UnknownOutcome { message, .. }) => format!("unknown: {message}"),
        Outcome::NoSuchOrder => "Toss knows no such order".to_owned(),
    }
}

/// Writes the outcome into the caller's transaction; answers what becomes of the job.
pub(super) async fn settle(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let current = context.attempt(attempt.id).ok_or(SettleError::Vanished)?;
    if !current.is_unfinished() {
        warn_if_contradicted(current, outcome);
        return Ok(Finish::Done(Some("settled meanwhile by another worker".into())));
    }
    match outcome {
        Outcome::Paid(receipt) => settle_paid::settle(env, conn, context, current, receipt, now).await,
        Outcome::Declined(refusal) => {
            settle_declined::settle(env, conn, context, current, refusal, now).await
        }
        // It says nothing about a sending that came after.
        Outcome::NotSent(_) if !attempt.is_same_sending(current) => {
            let doubt = UnknownOutcome::of("this sending was not sent, and it was sent again meanwhile");
            unknown(conn, current, &doubt, false, now).await
        }
        Outcome::NotSent(why) => not_sent(env, conn, context, current, why, now).await,
        Outcome::Waiting(waiting) => wait(env, conn, context, current, waiting, now).await,
        Outcome::Unknown(doubt) => unknown(conn, current, doubt, false, now).await,
        Outcome::NoSuchOrder => {
            let doubt = UnknownOutcome::of("the gateway does not know the order (yet)");
            // An answer to an earlier sending says nothing about the one that is on its way.
            let counts = attempt.is_same_sending(current) && current.not_found_counts(now);
            unknown(conn, current, &doubt, counts, now).await
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
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    why: &NotSent,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let fresh_key = why.key_is_burnt.then(new_key);
    payments::not_sent(conn, attempt.id, why, fresh_key).await?;
    let code = why.code.as_deref().unwrap_or("no answer");
    let reason = format!("not sent, no try spent: {code} {}", why.message);
    if let Some(field) = refused_field(attempt, why) {
        leave_field_out(conn, context, attempt, (field, code), now).await?;
        return Ok(Finish::Snooze { reason, run_at: now + TimeDelta::seconds(1) });
    }
    if why.needs_operator {
        raise_alarm("not_sent");
        tracing::error!(
            toss.code = code,
            message = why.message,
            "the gateway refuses the request: an operator is needed"
        );
    }
    if attempt.kind == PaymentKind::First && now - attempt.created_at >= CONFIRM_WITHIN {
        return end_confirmation(env, conn, context, attempt, &reason, now).await;
    }
    let pause = match (why.needs_operator, attempt.kind) {
        (_, PaymentKind::First) => TimeDelta::seconds(20),
        (true, PaymentKind::Renewal | PaymentKind::NewCard) => TimeDelta::hours(1),
        (false, PaymentKind::Renewal | PaymentKind::NewCard) => {
            later(attempt, now).max(asked_pause(attempt, why.retry_after))
        }
    };
    Ok(Finish::Snooze { reason, run_at: now + pause })
}

/// The optional field that Toss may have refused, where the request had any.
fn refused_field(attempt: &Payment, why: &NotSent) -> Option<&'static str> {
    let had_optional_fields = attempt.kind != PaymentKind::First && !attempt.is_plain;
    let code = why.code.as_deref().filter(|_| had_optional_fields && why.needs_operator)?;
    toss::refused_optional_field(code)
}

/// One customer's address must not keep them from being charged. The operator sees whose it is in the audit log.
async fn leave_field_out(
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    (field, code): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    payments::make_plain(conn, attempt.id).await?;
    let why = format!("Toss refuses {field} ({code}): the charge goes on without it");
    let entry = Entry { actor: "worker", what: "payment.field_refused", why: &why };
    events::append(conn, &context.subscription, entry, now).await?;
    raise_alarm("optional_field_refused");
    tracing::error!(
        payment.id = %attempt.id,
        subscription.id = %subscription_ref(attempt.subscription_id),
        field,
        toss.code = code,
        "Toss refuses an optional field of a charge"
    );
    Ok(())
}

/// The buyer's authentication is over: what was not confirmed by now never will be, and nobody waits for it any more.
async fn end_confirmation(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    payments::withdraw(conn, attempt.id, why, now).await?;
    if context.subscription.status == SubscriptionStatus::Incomplete {
        let reason = "the first payment could not be confirmed in time";
        settle_declined::cancel_incomplete(conn, context, reason, why, None, now).await?;
        notifications::tell_not_begun(env, conn, &context.subscription, now).await?;
    } else if context.invoice.status == InvoiceStatus::Open {
        invoices::close(conn, context.invoice.id, InvoiceStatus::Void, now).await?;
    }
    store::announce_settled(conn, &attempt.order_id).await?;
    Ok(Finish::Fail(format!("{why}; the buyer's time is over")))
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
    review_if_due(conn, attempt, &waited_for, now).await?;
    let is_wanted = context.subscription.status == SubscriptionStatus::Incomplete;
    if let Some(account) = waiting.account.as_ref().filter(|_| is_wanted) {
        notifications::deposit_awaited(env, conn, &context.subscription, attempt, account, now).await?;
        store::announce_settled(conn, &attempt.order_id).await?;
    }
    let reason = format!("Toss has the payment and has not ended it: {}", waiting.status);
    Ok(Finish::Snooze { reason, run_at: waited_for.next_lookup(now) })
}

/// The pause that Toss asks for. The authentication of a buyer who waits dies sooner than that.
fn asked_pause(attempt: &Payment, retry_after: Option<Duration>) -> TimeDelta {
    match attempt.kind {
        PaymentKind::First => TimeDelta::zero(),
        PaymentKind::Renewal | PaymentKind::NewCard => pause_of(retry_after),
    }
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
    review_if_due(conn, attempt, &waiting, now).await?;
    let reason = format!("unknown outcome, asked again until it is known: {}", doubt.message);
    let run_at = waiting.next_lookup(now).max(now + asked_pause(attempt, doubt.retry_after));
    Ok(Finish::Snooze { reason, run_at })
}

/// Puts an attempt before an operator once. `after` is the attempt as it stands with this answer.
async fn review_if_due(
    conn: &mut PgConnection,
    attempt: &Payment,
    after: &Payment,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if after.is_for_review(now) && attempt.review_since.is_none() {
        payments::mark_for_review(conn, attempt.id, now).await?;
        alarm_review(attempt.id);
    }
    Ok(())
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
