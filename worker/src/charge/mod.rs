//! The charge path: one invoice moves on by at most one call for money.
//!
//! 1. The job is claimed under a lease ([`crate::jobs`]).
//! 2. It takes a turn of the rate limiter ([`crate::gateway`]).
//! 3. A transaction locks the subscription, then its invoice, and reads the facts ([`context`]).
//! 4. The domain decides: charge, send, look up, skip, void, hold, or wait (`common::domain::charge::decide`). Breaker and
//!    binding, which are among the facts, let the call through.
//! 5. The payment is recorded as sent and the intent is committed.
//! 6. One call goes to Toss, with no open transaction ([`gateway`]).
//! 7. The answer is translated into one of four outcomes: paid, declined, not sent, unknown ([`gateway`]).
//! 8. A second transaction locks and reads the same rows again ([`outcome`]).
//! 9. One function settles the outcome ([`settle_paid`], [`settle_declined`], [`outcome`]): payment, invoice,
//!    subscription, audit entry, e-mail and next job.
//! 10. The job's own end is written in the same transaction, which commits.
//!
//! What a crash leaves behind: before step 5 commits, nothing. From then until step 10 commits, a payment that looks
//! sent: it is looked up ([`lookup`]), and sent again under its own order id when Toss does not know it. After step 10,
//! nothing is left to do.

pub(crate) mod claim;
pub(crate) mod context;
pub(crate) mod end_incomplete;
mod gateway;
mod hold;
mod lookup;
mod match_payment;
pub(crate) mod outcome;
pub(crate) mod send;
mod settle_declined;
mod settle_paid;

use apalis::prelude::Data;
use chrono::TimeDelta;
use common::domain::charge::Decision;
use common::domain::payment::{Payment, PaymentKind};
use common::id::subscription_ref;
use common::jobs::{ChargeSubscription, ConfirmPayment};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::payments;
use uuid::Uuid;

use self::context::ChargeContext;
use self::hold::{hold, void};
use self::lookup::look_up;
use self::send::{Sending, send};
use crate::env::{Env, Tx};
use crate::gateway::health;
use crate::gateway::health::{Call, Caller, Permit};
use crate::gateway::rate_limiter::Turn;

/// How long a job waits when an operator has stopped charging.
const PAUSE: TimeDelta = TimeDelta::minutes(10);

/// Confirms the payment that a customer authenticated in the payment window.
pub(crate) async fn confirm_payment(
    job: ConfirmPayment,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    advance(&env, &lease, Call::CONFIRMATION, job.subscription_id, job.invoice_id).await
}

/// Charges, looks up or gives up one invoice, as its state requires.
pub(crate) async fn charge_subscription(
    job: ChargeSubscription,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    advance(&env, &lease, Call::CHARGE, job.subscription_id, job.invoice_id).await
}

/// Moves one invoice on by at most one call for money.
#[tracing::instrument(name = "charge.advance", skip_all,
    fields(subscription.id = %subscription_ref(subscription_id), invoice.id = %invoice_id, payment.id))]
pub(crate) async fn advance(
    env: &Env,
    lease: &Lease,
    call: Call,
    subscription_id: Uuid,
    invoice_id: Uuid,
) -> Result<Ran, JobError> {
    // Waited for before rows are locked. Mostly it is in hand.
    let turn = env.rate_limiter.acquire(&env.pool, call.lane).await?;
    let mut permit = None;
    let ran = step(env, lease, call, (subscription_id, invoice_id), turn, &mut permit).await;
    // However the step ended: a probe that brought no answer is for another job.
    if let Some(caller) = permit {
        health::give_back(env, caller).await;
    }
    ran
}

/// Decides on the locked rows and acts. Where the gateway's state does not allow the call as it is, `permit` is asked for
/// first, outside of the transaction, and the rows are read again.
async fn step(
    env: &Env,
    lease: &Lease,
    call: Call,
    (subscription_id, invoice_id): (Uuid, Uuid),
    turn: Turn,
    permit: &mut Option<Caller>,
) -> Result<Ran, JobError> {
    loop {
        let now = env.clock.now();
        let mut tx = env.pool.begin().await?;
        let Some(context) = ChargeContext::read(&mut tx, subscription_id, invoice_id).await? else {
            return Ok(Ran::Finish(Finish::Discard("the subscription or its invoice does not exist".into())));
        };
        let decision = context.decide(now);
        let step = if decision.asks_gateway() { call } else { call.as_idle() };
        if let Some(caller) = permit.or_else(|| health::allowed(env, &context.gateway, step, now)) {
            return act(env, lease, tx, &context, Step { decision, call, caller, turn }).await;
        }
        drop(tx);
        match health::permit(env, step).await? {
            Permit::Go(caller) => *permit = Some(caller),
            Permit::Later(finish) => {
                env.rate_limiter.give_back(turn);
                return Ok(Ran::Finish(finish));
            }
        }
    }
}

/// What was decided, and what it may take.
struct Step {
    decision: Decision,
    call: Call,
    caller: Caller,
    turn: Turn,
}

/// Does what was decided. The caller's transaction holds the rows that it was decided on.
async fn act(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    context: &ChargeContext,
    Step { decision, call, caller, turn }: Step,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    if !decision.asks_gateway() {
        env.rate_limiter.give_back(turn);
    } else if caller == Caller::Idle {
        // Looked at once more before it asks.
        let reason = "there is something to ask meanwhile".into();
        return Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + TimeDelta::seconds(1) }));
    }
    match decision {
        Decision::Charge => {
            let attempt = context.next_payment(PaymentKind::Renewal, now);
            payments::insert(&mut tx, &attempt).await?;
            send(env, lease, tx, context, &attempt, Sending { again: false, caller }).await
        }
        Decision::Send(id) => {
            let sent = named(context, id)?.as_sent(now);
            payments::mark_sent(&mut tx, id, now).await?;
            send(env, lease, tx, context, &sent, Sending { again: false, caller }).await
        }
        Decision::LookUp(id) => {
            drop(tx);
            env.rate_limiter.exchange(&env.pool, turn, call.lane_of_look_up()).await?;
            look_up(env, lease, &context.subscription, named(context, id)?, caller).await
        }
        Decision::Skip(reason) => settle_declined::skip_step(env, lease, tx, context, reason).await,
        Decision::Void => void(env, lease, tx, context, now).await,
        Decision::Hold => {
            hold(env, lease, tx, context, "its period was over before it could be sent", now).await
        }
        Decision::NotYet(at) => Ok(Ran::Finish(Finish::Snooze { reason: "not due yet".into(), run_at: at })),
        Decision::Paused => {
            let reason = "charging is stopped by an operator".into();
            Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + PAUSE }))
        }
        Decision::Nothing(why) => Ok(Ran::Finish(Finish::Discard(why.into()))),
    }
}

fn named(context: &ChargeContext, id: Uuid) -> Result<&Payment, JobError> {
    context.attempt(id).ok_or_else(|| JobError::new("the decision names an attempt that is not there"))
}
