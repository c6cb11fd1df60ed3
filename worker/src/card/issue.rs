//! Issues the billing key of a registered card: commit that it is sent, ask, seal the key in a commit of its own.
//!
//! There is no way to read a key again but the same request under the same idempotency key, so that is what a lost
//! answer is followed by; where that brings nothing within an hour, the customer is asked to register again.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::breaker::GatewayAccount;
use common::domain::payment::{KEY_LIFETIME, SERVER_ERRORS_OF_A_KEY};
use common::domain::registration::{Registration, RegistrationStatus};
use common::domain::subscription::SubscriptionStatus;
use common::id::new_key;
use common::queue::{Finish, JobError, Lease, Ran, hold_on};
use common::store;
use common::store::{registrations, subscriptions};
use secrecy::SecretString;
use sqlx::PgConnection;
use toss::{Decline, IdempotencyKey, IssueOutcome, IssueRequest, Reason, Why, WhyKind};

use super::apply::apply;
use crate::env::{Env, raise_alarm};
use crate::error::SettleError;
use crate::gateway::health::{Caller, Sign};
use crate::gateway::merchant::{is_ours, mismatch};
use crate::gateway::rate_limiter::pause_of;
use crate::gateway::{answer, health};
use crate::{crash, notifications};

/// No other card is taken while one is being registered, so that one is not waited for longer than this.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(1);

/// Ours, where the answer is lost for good.
const LOST: (&str, &str) =
    ("REGISTRATION_LOST", "카드 등록 결과를 확인할 수 없습니다. 카드를 다시 등록해 주세요.");

/// In the words of a customer: the one-time key was used before, has expired, or never was one.
const USED: &str = "이미 사용되었거나 만료된 카드 등록입니다. 카드를 다시 등록해 주세요.";

pub(crate) async fn issue(
    env: &Env,
    lease: &Lease,
    found: &Registration,
    caller: Caller,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    if found.first_sent_at.is_some_and(|first| now - first >= KEY_LIFETIME) {
        return refuse(env, lease, found, LOST, now).await;
    }
    let Some(auth_key) = found.auth_key.clone() else {
        return Err(JobError::new("an unfinished registration without its one-time key"));
    };
    // Toss may repeat a 5xx under the old key. A second billing key for the one-time key would charge nobody.
    let is_bound = found.server_errors >= SERVER_ERRORS_OF_A_KEY;
    let key = if is_bound { new_key() } else { found.idempotency_key };
    let mut tx = env.pool.begin().await?;
    registrations::mark_sent(&mut tx, found.id, key, now).await?;
    tx.commit().await?;
    crash::point("after_registration_intent");
    let key = IdempotencyKey::new(key.to_string())?;
    let request = IssueRequest { auth_key, customer_key: found.customer_key.clone() };
    hold_on();
    let answer = env.toss.issue_billing_key(&request, &key).await;
    crash::point("after_registration_call");
    let (works, why) = answer.gateway_works();
    let (account, subject) = (GatewayAccount::Billing, found.subscription_id);
    let sign = Sign { account, subject, works, why, retry_after: answer.retry_after() };
    health::record_gateway_health(env, caller, sign).await;
    let answer = match answer {
        IssueOutcome::Issued(billing) if !is_ours(env, account, billing.merchant_id.as_deref()).await => {
            IssueOutcome::Unknown(mismatch(billing.trace_id))
        }
        other => other,
    };
    // Turned away at the door, a repeat says nothing about the sending before it.
    let answer = if found.sent_at.is_some() { answer.of_resend() } else { answer };
    hear(env, lease, found, answer).await
}

/// Records the answer, however long the database cannot. Where it refuses the answer, the same request brings it again.
async fn hear(env: &Env, lease: &Lease, found: &Registration, answer: IssueOutcome) -> Result<Ran, JobError> {
    let now = env.clock.now();
    // A browser waits for its card, and another one is refused meanwhile: the customer registers anew.
    let is_late = found.first_sent_at.is_some_and(|first| now - first >= GIVE_UP_AFTER);
    match answer {
        IssueOutcome::Issued(billing) => issued(env, lease, found, &billing).await,
        IssueOutcome::Refused(refusal) => {
            // An earlier sending, whose answer never came, may have used the one-time key up.
            let is_lost = found.sent_at.is_some();
            refuse(env, lease, found, if is_lost { LOST } else { reason(&refusal) }, now).await
        }
        IssueOutcome::NotSent(Reason { message, .. }) | IssueOutcome::Unknown(Why { message, .. })
            if is_late =>
        {
            tracing::error!(registration.id = %found.id, message, "a card registration was given up");
            refuse(env, lease, found, LOST, now).await
        }
        IssueOutcome::NotSent(reason) => not_sent(env, lease, found, &reason).await,
        IssueOutcome::Unknown(why) => unknown(env, lease, found, &why).await,
    }
}

async fn not_sent(env: &Env, lease: &Lease, found: &Registration, reason: &Reason) -> Result<Ran, JobError> {
    let message = &reason.message;
    if reason.needs_operator() {
        raise_alarm("not_sent");
        tracing::error!(registration.id = %found.id, message, "the gateway refuses to register a card: an operator is needed");
    }
    let fresh = reason.key_is_burnt.then(new_key);
    let pause = TimeDelta::seconds(30).max(pause_of(reason.retry_after()));
    let ran = answer::record(env, lease, "card registration", |mut tx, now| async move {
        registrations::not_sent(&mut tx, found.id, message, fresh).await?;
        let reason = format!("not sent: {message}");
        Ok((tx, Finish::Snooze { reason, run_at: now + pause }))
    });
    Ok(ran.await?)
}

async fn unknown(env: &Env, lease: &Lease, found: &Registration, why: &Why) -> Result<Ran, JobError> {
    let ran = answer::record(env, lease, "card registration", |mut tx, now| async move {
        let is_server_error = why.kind == WhyKind::ServerError;
        registrations::unknown(&mut tx, found.id, &why.message, is_server_error).await?;
        let waited = found.first_sent_at.map_or(TimeDelta::zero(), |first| now - first);
        let pause = (waited / 2).clamp(TimeDelta::seconds(20), TimeDelta::minutes(15));
        let pause = pause.max(pause_of(why.retry_after));
        let reason = format!("unknown outcome, sent again: {}", why.message);
        Ok((tx, Finish::Snooze { reason, run_at: now + pause }))
    });
    Ok(ran.await?)
}

/// Seals the key in a commit of its own, before anything else: the gateway will not say it again for ever.
async fn issued(
    env: &Env,
    lease: &Lease,
    found: &Registration,
    billing: &toss::Billing,
) -> Result<Ran, JobError> {
    let key = SecretString::from(billing.billing_key.expose());
    let number = billing.card.as_ref().and_then(|card| card.number.as_deref());
    let key = &key;
    let written = answer::keep_trying("card registration", || async move {
        let sealed = env.sealer.seal(key, found.subscription_id)?;
        let mut tx = env.pool.begin().await?;
        registrations::issued(&mut tx, found.id, &sealed, number).await?;
        Ok(tx.commit().await?)
    });
    if let Err(refused) = written.await {
        answer::alarm_refused("card registration", &refused);
        return Err(refused.into());
    }
    crash::point("after_registration_key");
    apply(env, lease, found).await
}

fn reason(refusal: &Decline) -> (&str, &str) {
    match refusal.code.as_str() {
        code @ ("NOT_FOUND_BILLING" | "INVALID_BILLING_AUTH" | "INVALID_BILL_KEY_REQUEST") => (code, USED),
        code => (code, refusal.message.as_str()),
    }
}

async fn refuse(
    env: &Env,
    lease: &Lease,
    found: &Registration,
    why: (&str, &str),
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    let ran = answer::record(env, lease, "card registration", |mut tx, _| async move {
        let finish = settle_refused(env, &mut tx, found, why, now).await?;
        Ok((tx, finish))
    });
    Ok(ran.await?)
}

async fn settle_refused(
    env: &Env,
    conn: &mut PgConnection,
    found: &Registration,
    why: (&str, &str),
    now: DateTime<Utc>,
) -> Result<Finish, SettleError> {
    let subscription = subscriptions::lock(conn, found.subscription_id).await?;
    let subscription = subscription.ok_or(SettleError::Vanished)?;
    let card = registrations::lock(conn, found.id).await?.ok_or(SettleError::Vanished)?;
    if !card.awaits_its_key() {
        return Ok(Finish::Done(Some("moved on by another worker".into())));
    }
    registrations::settle(conn, found.id, RegistrationStatus::Refused, Some(why), now).await?;
    if subscription.status == SubscriptionStatus::Incomplete {
        notifications::first_failed(env, conn, &subscription, &card, in_their_words(why), now).await?;
    } else if why == LOST {
        let step = found.id.simple().to_string();
        notifications::card_needed(env, conn, &subscription, &step, now).await?;
    }
    store::announce_settled(conn, &found.id.to_string()).await?;
    Ok(Finish::Fail(format!("the card was refused: {} {}", why.0, why.1)))
}

/// Ours are words for a customer already; the gateway's are not always.
fn in_their_words<'a>((code, message): (&str, &'a str)) -> &'a str {
    if message == LOST.1 || message == USED { message } else { toss::korean_reason(code) }
}
