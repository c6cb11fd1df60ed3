//! Asks what became of an attempt before anything else moves money for it; what never arrived is sent again, or given up.

use chrono::{DateTime, Utc};
use common::domain::charge::{Lost, NotFoundAction};
use common::domain::invoice::InvoiceStatus;
use common::domain::outcome::{Outcome, UnknownOutcome, WaitingPayment};
use common::domain::payment::{Payment, PaymentKind};
use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::id::new_key;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store;
use common::store::events::Entry;
use common::store::gate::Lane;
use common::store::{StoreError, events, invoices, payments};
use sqlx::PgConnection;

use super::context::ChargeContext;
use super::hold::hold;
use super::send::{Sending, send};
use super::{gateway, outcome, settle_declined};
use crate::env::{Env, Tx};
use crate::gateway::health;
use crate::gateway::health::Caller;

const MISSED: &str = "the gateway knows no such order";
const LOST: &str = "the gateway knows no such order: it never arrived";

/// Sends the same order and key again only when that is safe.
pub(super) async fn look_up(
    env: &Env,
    lease: &Lease,
    subscription: &Subscription,
    attempt: &Payment,
    caller: Caller,
) -> Result<Ran, JobError> {
    tracing::Span::current().record("payment.id", tracing::field::display(attempt.id));
    let mut found = gateway::look_up_outcome(env, subscription, attempt).await;
    if let Outcome::Waiting(waiting) = &found
        && waits_in_vain(subscription, attempt, waiting, env.clock.now())
    {
        env.rate_limiter.acquire(&env.pool, Lane::LookUp).await?;
        gateway::close_account(env, attempt, &waiting.payment_key).await;
        env.rate_limiter.acquire(&env.pool, Lane::LookUp).await?;
        found = gateway::look_up_outcome(env, subscription, attempt).await;
    }
    if found != Outcome::NoSuchOrder {
        return outcome::record(env, lease, attempt, caller, found).await;
    }
    // Whatever becomes of the payment: Toss has answered.
    health::record_gateway_health(env, caller, health::sign_of(attempt, &found)).await;
    act_on_not_found(env, lease, attempt, caller).await
}

/// Whether nobody wants the deposit any more: the customer canceled, or the account should have ended long ago.
fn waits_in_vain(
    subscription: &Subscription,
    attempt: &Payment,
    waiting: &WaitingPayment,
    now: DateTime<Utc>,
) -> bool {
    let is_canceled = subscription.status == SubscriptionStatus::Canceled;
    waiting.account.is_some() && (is_canceled || attempt.is_deposit_overdue(now))
}

/// Toss knows no such order: the payment is asked about again, sent again or given up.
async fn act_on_not_found(
    env: &Env,
    lease: &Lease,
    attempt: &Payment,
    caller: Caller,
) -> Result<Ran, JobError> {
    // For what may be sent: the turn that this job came with went into the question.
    env.rate_limiter.acquire(&env.pool, lane_of(attempt.kind)).await?;
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let Some(context) = ChargeContext::read(&mut tx, attempt.subscription_id, attempt.invoice_id).await?
    else {
        return Err(JobError::new("the subscription or its invoice vanished"));
    };
    let Some(current) = context.attempt(attempt.id).filter(|payment| payment.is_unfinished()) else {
        return Ok(Ran::Finish(Finish::Done(Some("settled meanwhile by another worker".into()))));
    };
    // Another worker has sent it since we read it: its answer may still come.
    if !attempt.is_same_sending(current) {
        drop(tx);
        return outcome::record(env, lease, attempt, caller, Outcome::NoSuchOrder).await;
    }
    let asked = current.with_not_found(now);
    match context.after_not_found(&asked, now) {
        NotFoundAction::AskAgain => {
            drop(tx);
            outcome::record(env, lease, attempt, caller, Outcome::NoSuchOrder).await
        }
        NotFoundAction::SendAgain => {
            payments::unknown(&mut tx, attempt.id, &UnknownOutcome::of(MISSED), true, now).await?;
            let again = mark_sent_again(&mut tx, &asked, now).await?;
            let sending = Sending { again: true, caller };
            send(env, lease, tx, &context, &again, sending).await
        }
        NotFoundAction::GiveUp(lost) => {
            payments::unknown(&mut tx, attempt.id, &UnknownOutcome::of(MISSED), true, now).await?;
            give_up(env, lease, tx, &context, (lost, &asked, LOST), now).await
        }
    }
}

fn lane_of(kind: PaymentKind) -> Lane {
    match kind {
        PaymentKind::First => Lane::Confirmation,
        PaymentKind::Renewal | PaymentKind::NewCard => Lane::Charge,
    }
}

/// The same order once more, under a fresh key where Toss may repeat its 5xx under the old one.
async fn mark_sent_again(
    conn: &mut PgConnection,
    asked: &Payment,
    now: DateTime<Utc>,
) -> Result<Payment, StoreError> {
    let mut again = asked.as_sent(now);
    if asked.needs_fresh_key() {
        again.idempotency_key = new_key();
        payments::renew_key(conn, asked.id, again.idempotency_key).await?;
    }
    payments::mark_sent(conn, asked.id, now).await?;
    Ok(again)
}

/// Should the gateway find the money all the same, comparing the books shows it.
pub(super) async fn give_up(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    context: &ChargeContext,
    (lost, asked, why): (Lost, &Payment, &str),
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    let told = match lost {
        Lost::Hold => {
            let entry = Entry { actor: "worker", what: "invoice.held", why };
            events::append(&mut tx, &context.subscription, entry, now).await?;
            return hold(env, lease, tx, context, why, now).await;
        }
        Lost::Void => {
            payments::withdraw(&mut tx, asked.id, "canceled, and the gateway knows no such order", now)
                .await?;
            if context.invoice.status == InvoiceStatus::Open {
                invoices::close(&mut tx, context.invoice.id, InvoiceStatus::Void, now).await?;
            }
            "the charge never arrived; the subscription was canceled meanwhile"
        }
        Lost::NeverBegins => {
            payments::withdraw(&mut tx, asked.id, why, now).await?;
            settle_declined::cancel_incomplete(&mut tx, context, why, why, None, now).await?;
            why
        }
        Lost::Withdraw => {
            payments::withdraw(&mut tx, asked.id, why, now).await?;
            why
        }
    };
    store::announce_settled(&mut tx, &asked.order_id).await?;
    Ok(Ran::Committed(lease.commit(tx, Finish::Done(Some(told.into())), env.clock.now()).await?))
}
