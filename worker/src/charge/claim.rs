//! Asks the gateway about an operator's claim on a payment that needs review, and settles the payment by the answer.
//!
//! Captured money is booked as paid and a decline as declined, whatever was claimed. A payment is given up only when the
//! gateway knows no such order a day after it was sent, or cannot tell and two operators agree.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::charge;
use common::domain::claim::{Claim, ClaimState, GatewayAnswer, judge};
use common::domain::outcome::Outcome;
use common::domain::payment::{Payment, PaymentStatus};
use common::domain::subscription::Subscription;
use common::jobs::CheckPaymentClaim;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::payment_claims::ClaimRow;
use common::store::{payment_claims, payments, subscriptions};
use sqlx::PgConnection;

use super::context::ChargeContext;
use super::{gateway, lookup, outcome};
use crate::env::Env;
use crate::gateway::health;
use crate::gateway::health::{Call, Caller};
use crate::gateway::rate_limiter::pause_of;
use crate::gateway::reads::gateway_account_of;

/// How soon the gateway is asked again when it could not answer about a payment key.
const ASK_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);
/// A deposit may come until the virtual account's due date.
const DEPOSIT_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Can die anywhere and run again: a look-up changes nothing, and the answer is written in one transaction.
#[tracing::instrument(name = "charge.claim", skip_all, fields(payment.id = %job.payment_id, claim.id = %job.claim_id))]
pub(crate) async fn check_payment_claim(
    job: CheckPaymentClaim,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let mut conn = env.pool.acquire().await?;
    let claim = payment_claims::find(&mut conn, job.claim_id).await?;
    let payment = payments::find(&mut conn, job.payment_id).await?;
    let subscription = subscriptions::find(&mut conn, job.subscription_id).await?;
    drop(conn);
    let (Some(claim), Some(payment), Some(subscription)) = (claim, payment, subscription) else {
        return Ok(Ran::Finish(Finish::Discard("the claim or its payment does not exist".into())));
    };
    if claim.state != <&str>::from(ClaimState::Checking) {
        return Ok(Ran::Finish(Finish::Done(Some(format!("the claim is {}", claim.state)))));
    }
    let permit = health::check_gateway(&env, Call::look_up(gateway_account_of(payment.kind))).await?;
    let check = |caller| check(&env, &lease, caller, &subscription, (&claim, &payment));
    health::when_permitted(&env, permit, check).await
}

async fn check(
    env: &Env,
    lease: &Lease,
    caller: Caller,
    subscription: &Subscription,
    (claim, payment): (&ClaimRow, &Payment),
) -> Result<Ran, JobError> {
    let found = ask(env, subscription, payment, claim).await;
    health::record_gateway_health(env, caller, health::sign_of(payment, &found)).await;
    if let Some((reason, pause)) = ask_again(claim, &found) {
        return Ok(Ran::Finish(Finish::Snooze { reason, run_at: env.clock.now() + pause }));
    }
    settle(env, lease, (claim, payment), &found).await
}

/// Why the gateway has to be asked once more before the claim can be judged, and after which time.
fn ask_again(claim: &ClaimRow, found: &Outcome) -> Option<(String, TimeDelta)> {
    match found {
        Outcome::Unknown(why) if why.is_technical && claim.payment_key.is_some() => {
            let reason = format!("the gateway could not be asked: {}", why.message);
            Some((reason, ASK_AGAIN_AFTER.max(pause_of(why.retry_after))))
        }
        Outcome::Waiting(_) => Some(("the gateway waits for a deposit".to_owned(), DEPOSIT_PAUSE)),
        Outcome::Unknown(_)
        | Outcome::Paid(_)
        | Outcome::Declined(_)
        | Outcome::NotSent(_)
        | Outcome::NoSuchOrder => None,
    }
}

/// Reads the payment at the gateway: by the claimed payment key, or by its order id.
async fn ask(env: &Env, subscription: &Subscription, payment: &Payment, claim: &ClaimRow) -> Outcome {
    match &claim.payment_key {
        Some(key) => gateway::find_payment(env, subscription, payment, key).await,
        None => gateway::look_up_outcome(env, subscription, payment).await,
    }
}

/// Writes the answer, what becomes of the claim, and what becomes of the payment, with the job's own end.
async fn settle(
    env: &Env,
    lease: &Lease,
    (claim, payment): (&ClaimRow, &Payment),
    found: &Outcome,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let context = ChargeContext::read(&mut tx, payment.subscription_id, payment.invoice_id).await?;
    let context = context.ok_or_else(|| JobError::new("the subscription or its invoice vanished"))?;
    let current = context.attempt(payment.id).ok_or_else(|| JobError::new("the payment vanished"))?;
    let (answer, finding) = match current.status {
        PaymentStatus::Unknown | PaymentStatus::Pending => (answer_of(found), words_of(found)),
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => {
            (GatewayAnswer::Paid, "settled as paid meanwhile".to_owned())
        }
        PaymentStatus::Failed => (GatewayAnswer::NotPaid, "settled as not paid meanwhile".to_owned()),
    };
    let state = record(&mut tx, claim, answer, &finding, now).await?;
    let done = Finish::Done(Some(format!("the claim is {state}: {finding}")));
    if !current.is_unfinished() {
        return Ok(Ran::Committed(lease.commit(tx, done, now).await?));
    }
    match (found, claim.payment_key.is_some()) {
        // A decline under a claimed payment key may be that of another order.
        (Outcome::Paid(_), _) | (Outcome::Declined(_), false) => {
            outcome::settle(env, &mut tx, &context, payment, found, now).await?;
            Ok(Ran::Committed(lease.commit(tx, done, now).await?))
        }
        _ if state == ClaimState::Confirmed => {
            let lost = charge::lost(current.kind, context.subscription.status);
            lookup::give_up(env, lease, tx, &context, (lost, current, &finding), now).await
        }
        _ => Ok(Ran::Committed(lease.commit(tx, done, now).await?)),
    }
}

async fn record(
    conn: &mut PgConnection,
    claim: &ClaimRow,
    answer: GatewayAnswer,
    finding: &str,
    now: DateTime<Utc>,
) -> Result<ClaimState, JobError> {
    let claimed = if claim.payment_key.is_some() { Claim::Paid } else { Claim::NotPaid };
    let state = judge(claimed, answer, claim.agreed_by.is_some());
    payment_claims::record_answer(conn, claim.id, (answer, state), finding, now).await?;
    tracing::info!(%answer, %state, finding, "the gateway was asked about an operator's claim");
    Ok(state)
}

fn answer_of(found: &Outcome) -> GatewayAnswer {
    match found {
        Outcome::Paid(_) => GatewayAnswer::Paid,
        Outcome::Declined(_) | Outcome::NotSent(_) | Outcome::NoSuchOrder => GatewayAnswer::NotPaid,
        Outcome::Unknown(_) | Outcome::Waiting(_) => GatewayAnswer::CannotTell,
    }
}

fn words_of(found: &Outcome) -> String {
    match found {
        Outcome::Paid(receipt) => format!("Toss captured it as {}", receipt.payment_key),
        Outcome::Declined(decline) => format!("Toss says {}: {}", decline.code, decline.message),
        Outcome::NotSent(why) => format!("Toss says it was not made: {}", why.message),
        Outcome::NoSuchOrder => "Toss knows no such order".to_owned(),
        Outcome::Waiting(_) => "Toss waits for a deposit".to_owned(),
        Outcome::Unknown(why) => format!("Toss cannot tell: {}", why.message),
    }
}
