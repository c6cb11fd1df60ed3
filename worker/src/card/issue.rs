//! Issues the billing key of a registered card: commit that it is sent, ask, seal the key in a commit of its own.
//!
//! There is no way to read a key again but the same request under the same idempotency key, so that is what a lost
//! answer is followed by; where that brings nothing, the customer is asked to register again.

use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    domain::{
        payment::KEY_LIFETIME,
        registration::{Registration, RegistrationStatus},
        subscription::SubscriptionStatus,
    },
    id::new_key,
    store::{self, registrations, subscriptions},
};
use secrecy::SecretString;
use toss::{Decline, IdempotencyKey, IssueOutcome, IssueRequest};

use crate::{
    crash,
    env::Env,
    error::SettleError,
    gateway::health::{self, Permit, Purpose},
    notifications,
};

/// Ours, where the answer is lost for good.
const LOST: (&str, &str) =
    ("REGISTRATION_LOST", "카드 등록 결과를 확인할 수 없습니다. 카드를 다시 등록해 주세요.");

/// In the words of a customer: the one-time key was used before, has expired, or never was one.
const USED: &str = "이미 사용되었거나 만료된 카드 등록입니다. 카드를 다시 등록해 주세요.";

pub(crate) async fn issue(env: &Env, lease: &Lease, found: &Registration) -> Result<Ran, JobError> {
    let now = env.clock.now();
    if found.first_sent_at.is_some_and(|first| now - first >= KEY_LIFETIME) {
        return refuse(env, lease, found, LOST, now).await;
    }
    let Some(auth_key) = found.auth_key.clone() else {
        return Err(JobError::new("an unfinished registration without its one-time key"));
    };
    let mut tx = env.pool.begin().await?;
    registrations::mark_sent(&mut tx, found.id, now).await?;
    tx.commit().await?;
    crash::point("after_registration_intent");
    let key = IdempotencyKey::new(found.idempotency_key.to_string())?;
    let request = IssueRequest { auth_key, customer_key: found.customer_key.clone() };
    let answer = env.toss.issue_billing_key(&request, &key).await;
    crash::point("after_registration_call");
    // Turned away at the door, a repeat says nothing about the sending before it.
    let answer = if found.sent_at.is_some() { answer.of_resend() } else { answer };
    hear(env, lease, found, answer).await
}

async fn hear(env: &Env, lease: &Lease, found: &Registration, answer: IssueOutcome) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let finish = match answer {
        IssueOutcome::Issued(billing) => {
            let key = SecretString::from(billing.billing_key.expose());
            let sealed = env.sealer.seal(&key, found.subscription_id)?;
            let number = billing.card.as_ref().and_then(|card| card.number.as_deref());
            registrations::issued(&mut tx, found.id, &sealed, number).await?;
            // Before anything else: the gateway will not say it again for ever.
            tx.commit().await?;
            crash::point("after_registration_key");
            return match health::check_gateway(env, Purpose::Other).await? {
                Permit::Later(finish) => Ok(Ran::Finish(finish)),
                Permit::Go(caller) => super::apply(env, lease, found, caller).await,
            };
        }
        IssueOutcome::Refused(refusal) => {
            drop(tx);
            // An earlier sending, whose answer never came, may have used the one-time key up.
            let is_lost = found.sent_at.is_some();
            return refuse(env, lease, found, if is_lost { LOST } else { reason(&refusal) }, now).await;
        }
        IssueOutcome::NotSent(reason) => {
            let fresh = reason.key_is_burnt.then(new_key);
            registrations::not_sent(&mut tx, found.id, &reason.message, fresh).await?;
            let reason = format!("not sent: {}", reason.message);
            Finish::Snooze { reason, run_at: now + TimeDelta::seconds(30) }
        }
        IssueOutcome::Unknown(why) => {
            registrations::unknown(&mut tx, found.id, &why.message).await?;
            let waited = found.first_sent_at.map_or(TimeDelta::zero(), |first| now - first);
            let pause = (waited / 2).clamp(TimeDelta::seconds(20), TimeDelta::hours(1));
            let reason = format!("unknown outcome, sent again under the same key: {}", why.message);
            Finish::Snooze { reason, run_at: now + pause }
        }
    };
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
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
    let mut tx = env.pool.begin().await?;
    let subscription = subscriptions::lock(&mut tx, found.subscription_id).await?;
    let subscription = subscription.ok_or(SettleError::Vanished)?;
    let card = registrations::lock(&mut tx, found.id).await?.ok_or(SettleError::Vanished)?;
    if !card.awaits_its_key() {
        return Ok(Ran::Finish(Finish::Done(Some("moved on by another worker".into()))));
    }
    registrations::settle(&mut tx, found.id, RegistrationStatus::Refused, Some(why), now).await?;
    if subscription.status == SubscriptionStatus::Incomplete {
        notifications::first_failed(env, &mut tx, &subscription, &card, in_their_words(why), now).await?;
    } else if why == LOST {
        notifications::card_needed(env, &mut tx, &subscription, &found.id.simple().to_string(), now).await?;
    }
    store::announce_settled(&mut tx, &found.id.to_string()).await?;
    let finish = Finish::Fail(format!("the card was refused: {} {}", why.0, why.1));
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}

/// Ours are words for a customer already; the gateway's are not always.
fn in_their_words<'a>((code, message): (&str, &'a str)) -> &'a str {
    if message == LOST.1 || message == USED { message } else { toss::korean_reason(code) }
}
