//! An attempt of the dunning schedule without money: the next try, the suspension, or the end of what never began.

use chrono::{DateTime, Utc};
use chrono_tz::Asia::Seoul;
use common::domain::charge::{AfterDecline, SkipReason, after_decline, attempts_used};
use common::domain::dunning::Policy;
use common::domain::invoice::InvoiceStatus;
use common::domain::outcome::Decline;
use common::domain::payment::{DeclineKind, Payment, PaymentKind};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store;
use common::store::events::{Entry, Settled};
use common::store::{events, invoices, payments, subscriptions};
use sqlx::PgConnection;

use super::context::ChargeContext;
use crate::card::replacement;
use crate::env::{Env, Tx, raise_alarm};
use crate::error::SettleError;
use crate::gateway::health;
use crate::notifications;

/// An attempt of the dunning schedule that has just gone without money, however it went.
struct Step<'a> {
    kind: PaymentKind,
    policy: Policy,
    /// Counts this one in.
    gone: usize,
    /// For the job table: what happened.
    told: String,
    /// For the customer: why, and whether this card is done for. None: no mail for this step.
    reason: Option<(&'a str, bool)>,
    /// The buyer was to pay into an account, and did not.
    deposit_was_awaited: bool,
    /// The declined payment, for the outgoing event. `None`: the bank was not asked.
    declined: Option<Settled>,
}

/// The bank said no.
pub(crate) async fn settle(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    attempt: &Payment,
    refusal: &Decline,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    payments::decline(conn, attempt.id, refusal, now).await?;
    if attempt.kind == PaymentKind::NewCard {
        return replacement::declined(env, conn, &context.subscription, attempt, refusal, now).await;
    }
    let policy = invoices::pin_policy(conn, context.invoice.id, &env.dunning).await?;
    let gone = attempts_used(&context.attempts, context.skips).saturating_add(1);
    let Decline { kind, code, message, trace_id } = refusal;
    tracing::info!(payment.id = %attempt.id, toss.code = code, toss.trace_id = trace_id, step = gone, "declined");
    warn_if_wrong_client_key(code);
    let step = Step {
        kind: attempt.kind,
        told: format!("declined ({gone} of {}): {code} {message}", policy.steps()),
        policy,
        gone,
        reason: Some((toss::korean_reason(code), *kind == DeclineKind::Hard)),
        deposit_was_awaited: attempt.deposit_due_at.is_some(),
        declined: Some(Settled::Payment(attempt.id)),
    };
    let finish = take(env, conn, context, step, now).await?;
    health::stop_if_absurd(conn, now).await?;
    store::announce_settled(conn, &attempt.order_id).await?;
    Ok(finish)
}

/// One such answer is one buyer's window. Many are a wrong pair of keys on the checkout page or here.
fn warn_if_wrong_client_key(code: &str) {
    if code == "INVALID_API_KEY" {
        raise_alarm("wrong_client_key");
        tracing::error!("a payment was made with a client key that does not belong to the widget secret key");
    }
}

/// The bank is not asked: the last decline was final for this card, or there is no card.
pub(crate) async fn skip_step(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    context: &ChargeContext,
    reason: SkipReason,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let policy = invoices::pin_policy(&mut tx, context.invoice.id, &env.dunning).await?;
    let gone = attempts_used(&context.attempts, context.skips).saturating_add(1);
    invoices::record_skip(&mut tx, context.invoice.id, gone, reason, now).await?;
    let told = match reason {
        SkipReason::HardDecline => "the bank was not asked again: its refusal was final for this card",
        SkipReason::NoPaymentMethod => "the bank was not asked: no card is registered",
    };
    let step = Step {
        kind: PaymentKind::Renewal,
        told: format!("{told} ({gone} of {})", policy.steps()),
        policy,
        gone,
        reason: match reason {
            SkipReason::HardDecline => None,
            SkipReason::NoPaymentMethod => Some(("결제에 사용할 카드가 등록되어 있지 않습니다.", true)),
        },
        deposit_was_awaited: false,
        declined: None,
    };
    let finish = take(env, &mut tx, context, step, now).await?;
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}

async fn suspend(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    step: &Step<'_>,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    let Step { gone, told, declined, .. } = step;
    invoices::close(conn, invoice.id, InvoiceStatus::Uncollectible, now).await?;
    subscriptions::suspend(conn, subscription.id, now).await?;
    let entry = Entry { actor: "worker", what: "subscription.suspended", why: told };
    events::append_with(conn, subscription, entry, *declined, now).await?;
    notifications::suspended(env, conn, subscription, invoice, *gone, now).await?;
    Ok(Finish::Fail(format!("{told}; the subscription is suspended until a new card is registered")))
}

async fn retry_at(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    step: &Step<'_>,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    let Step { gone, told, reason, declined, .. } = step;
    invoices::schedule_retry(conn, invoice.id, at, now).await?;
    subscriptions::mark_past_due(conn, subscription.id, at, now).await?;
    let entry = Entry { actor: "worker", what: "subscription.past_due", why: told };
    events::append_with(conn, subscription, entry, *declined, now).await?;
    if let Some((why, card_is_dead)) = *reason {
        let failure = notifications::Failure { step: *gone, why, card_is_dead, retry_at: at };
        notifications::failed(env, conn, subscription, invoice, failure, now).await?;
    }
    let error = format!("{told}; next try {}", at.with_timezone(&Seoul).format("%Y-%m-%d %H:%M KST"));
    Ok(Finish::Retry { error, run_at: at })
}

/// The first payment was not made: nothing is owed, and nothing begins.
pub(crate) async fn cancel_incomplete(
    conn: &mut PgConnection,
    context: &ChargeContext,
    reason: &str,
    why: &str,
    declined: Option<Settled>,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    invoices::close(conn, invoice.id, InvoiceStatus::Void, now).await?;
    subscriptions::cancel(conn, subscription.id, reason, now).await?;
    let entry = Entry { actor: "worker", what: "subscription.never_began", why };
    Ok(events::append_with(conn, subscription, entry, declined, now).await?)
}

/// What follows from it, for the invoice, the subscription, the customer and the job.
async fn take(
    env: &Env,
    conn: &mut PgConnection,
    context: &ChargeContext,
    step: Step<'_>,
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let ChargeContext { subscription, invoice, .. } = context;
    let Step { kind, policy, gone, told, declined, deposit_was_awaited, .. } = &step;
    let is_older = context.is_older(conn, now).await?;
    let action = after_decline(*kind, subscription.status, is_older, policy, *gone, now, env.charge_time)?;
    let outcome = match action {
        AfterDecline::RetryAt(at) => return retry_at(env, conn, context, &step, at, now).await,
        AfterDecline::Suspend => return suspend(env, conn, context, &step, now).await,
        AfterDecline::NeverBegins => {
            cancel_incomplete(conn, context, "first payment declined", told, *declined, now).await?;
            // Whoever was to pay into an account has left the checkout page long ago.
            if *deposit_was_awaited {
                notifications::tell_not_begun(env, conn, subscription, now).await?;
            }
            let why = format!("{told}; the first payment failed, the subscription does not begin");
            return Ok(Finish::Fail(why));
        }
        AfterDecline::Void => {
            invoices::close(conn, invoice.id, InvoiceStatus::Void, now).await?;
            format!("{told}; the subscription is canceled, nothing is owed")
        }
        AfterDecline::StaySuspended => {
            invoices::close(conn, invoice.id, InvoiceStatus::Uncollectible, now).await?;
            format!("{told}; the subscription stays suspended")
        }
        AfterDecline::HoldAgain => {
            invoices::hold(conn, invoice.id, now).await?;
            format!("{told}; the older period waits for an operator again")
        }
    };
    // Nothing about the subscription changes, so the decline has no audit entry that would tell it.
    if let Some(declined) = *declined {
        events::announce_settled(conn, subscription, declined, now).await?;
    }
    Ok(Finish::Fail(outcome))
}
