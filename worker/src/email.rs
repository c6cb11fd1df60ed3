//! Sends one e-mail of the outbox: at least once, recognisable by its Message-ID, never after its moment has passed.
//!
//! Only the mail server's word about this recipient or this message ends an e-mail. Everything else is tried again
//! later, and raises an alarm after an hour.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::email_delivery::{GIVE_UP_AFTER, NextTry, SendFailure, next_try};
use common::domain::erasure::ERASED_ADDRESS;
use common::domain::plan_change::PlanChange;
use common::domain::renewal_notice::{Announcement, announcement};
use common::jobs::SendEmail;
use common::mailer::{OutgoingEmail, SendError};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::emails::{EmailEnd, QueuedEmail, SentEmail};
use common::store::{emails, plan_changes, subscriptions};

use crate::crash;
use crate::env::{Env, raise_alarm};
use crate::gateway::health;

/// How soon it is looked again whether a charge that an e-mail announces comes back.
const LOOK_AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

pub(crate) async fn send_email(job: SendEmail, lease: Lease, env: Data<Env>) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let Some((email, status)) = env.emails.read(&env.pool, job.email_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the e-mail is settled".into())));
    };
    if let Some(finish) = health::bound_elsewhere(&env, &status, now) {
        return Ok(Ran::Finish(finish));
    }
    match fate(&env, &email, status.charging_enabled, now).await? {
        Fate::Send => {}
        Fate::Wait => return Ok(Ran::Finish(wait(&email, now))),
        Fate::Drop(reason) => {
            return settle(&env, &lease, &email, EmailEnd::Dropped, Some(reason)).await;
        }
    }
    let sent = env.mailer.send(&outgoing(&email)).await;
    crash::point("after_mail");
    match sent {
        Ok(()) => record_sent(&env, &lease, &email).await,
        Err(error) => record_failure(&env, &lease, &email, &error).await,
    }
}

/// The e-mail and its job end in one statement, with others'.
async fn record_sent(env: &Env, lease: &Lease, email: &QueuedEmail) -> Result<Ran, JobError> {
    let (now, note) = (env.clock.now(), format!("sent {}", email.kind));
    let sent = SentEmail { id: email.id, lease: lease.clone(), note: note.clone() };
    let ended = match env.emails.record_sent(&env.pool, sent.clone(), now).await {
        Ok(ended) => ended,
        Err(error) => {
            // Its connection may have been broken. Not recorded, the e-mail would go out twice.
            tracing::debug!(%error, "recorded over another connection");
            env.emails.record_sent(&env.pool, sent, now).await?
        }
    };
    metrics::counter!("billing_emails_total", "outcome" => "sent").increment(1);
    // A job that is not ours any more is fenced out, and counted so.
    Ok(if ended { lease.done_with_others().into() } else { Ran::Finish(Finish::Done(Some(note))) })
}

/// What becomes of an e-mail whose turn has come.
enum Fate {
    Send,
    Wait,
    /// Why it is not sent any more.
    Drop(&'static str),
}

const POINTLESS: Fate = Fate::Drop("there is no reason for it any more");

async fn fate(
    env: &Env,
    email: &QueuedEmail,
    charging_enabled: bool,
    now: DateTime<Utc>,
) -> Result<Fate, JobError> {
    if email.to_address == ERASED_ADDRESS {
        return Ok(Fate::Drop("the customer was erased"));
    }
    // An operator who sends an e-mail again has decided that it is still of use.
    if email.resend_of.is_some() {
        return Ok(Fate::Send);
    }
    if email.send_before.is_some_and(|before| now >= before) {
        return Ok(Fate::Drop("its moment had passed"));
    }
    if !["renewal_notice", "card_reminder", "card_needed", "consent_request"].contains(&email.kind.as_str()) {
        return Ok(Fate::Send);
    }
    let mut conn = env.pool.acquire().await?;
    let subscription = subscriptions::find(&mut conn, email.subscription_id).await?;
    let Some(subscription) = subscription else { return Ok(POINTLESS) };
    let pending = plan_changes::pending_of(&mut conn, &[email.subscription_id]).await?;
    let announced = || match announcement(&subscription, &pending, charging_enabled) {
        Announcement::Send => Fate::Send,
        Announcement::Wait => Fate::Wait,
        Announcement::Drop => POINTLESS,
    };
    let is_asked_for = |change: &PlanChange| {
        email.unique_key.contains(&change.id.simple().to_string()) && !change.is_agreed()
    };
    Ok(match email.kind.as_str() {
        // The customer has registered a card meanwhile.
        "card_reminder" if subscription.sealed_billing_key.is_some() => POINTLESS,
        "card_reminder" | "renewal_notice" => announced(),
        _ if subscription.canceled_at.is_some() => POINTLESS,
        "consent_request" if !pending.iter().any(is_asked_for) => POINTLESS,
        _ => Fate::Send,
    })
}

/// The e-mail announces a charge that would not happen now. It goes out when the charge comes back in time.
fn wait(email: &QueuedEmail, now: DateTime<Utc>) -> Finish {
    let run_at = now + LOOK_AGAIN_AFTER;
    let run_at = email.send_before.map_or(run_at, |before| run_at.min(before));
    Finish::Snooze { reason: "the charge that it announces would not happen now".into(), run_at }
}

fn outgoing(email: &QueuedEmail) -> OutgoingEmail {
    OutgoingEmail {
        to_address: email.to_address.clone(),
        subject: email.subject.clone(),
        body_html: email.body_html.clone(),
        body_text: email.body_text.clone(),
        message_id: email.message_id.clone(),
        created_at: email.created_at,
    }
}

async fn record_failure(
    env: &Env,
    lease: &Lease,
    email: &QueuedEmail,
    error: &SendError,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let (failure, reason) = match error {
        SendError::Refused(reason) => (SendFailure::Refused, reason.clone()),
        SendError::Postponed(reason) => (SendFailure::Postponed, reason.clone()),
        SendError::Unavailable(reason) => {
            (SendFailure::Unavailable, format!("the mail server cannot be used: {reason}"))
        }
    };
    match next_try(failure, email.created_at, now) {
        NextTry::Never => settle(env, lease, email, EmailEnd::Failed, Some(&reason)).await,
        NextTry::GivenUp => {
            let reason = format!("given up after {} days: {reason}", GIVE_UP_AFTER.num_days());
            settle(env, lease, email, EmailEnd::Failed, Some(&reason)).await
        }
        NextTry::At { at, raises_alarm } => {
            if raises_alarm {
                raise_alarm("email_waiting");
                tracing::error!(
                    email.id = %email.id, email.kind, waiting_since = %email.created_at, reason,
                    "e-mail has waited for more than an hour"
                );
            }
            let mut tx = env.pool.begin().await?;
            emails::postpone(&mut tx, email.id, &reason, at).await?;
            Ok(Ran::Committed(lease.commit(tx, Finish::Snooze { reason, run_at: at }, now).await?))
        }
    }
}

async fn settle(
    env: &Env,
    lease: &Lease,
    email: &QueuedEmail,
    end: EmailEnd,
    reason: Option<&str>,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    emails::settle(&mut tx, email.id, end, reason, now).await?;
    let outcome: &'static str = end.into();
    let note = format!("{outcome} {}", email.kind);
    let finish = match end {
        EmailEnd::Sent => Finish::Done(Some(note)),
        EmailEnd::Dropped => Finish::Discard(format!("{note}: {}", reason.unwrap_or_default())),
        EmailEnd::Failed => Finish::Fail(format!("{note}: {}", reason.unwrap_or_default())),
    };
    let ran = Ran::Committed(lease.commit(tx, finish, now).await?);
    metrics::counter!("billing_emails_total", "outcome" => outcome).increment(1);
    Ok(ran)
}
