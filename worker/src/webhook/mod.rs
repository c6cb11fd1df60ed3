//! Looks at what a webhook hints at: reads it back from Toss, and does what it finds there.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::payment::Payment;
use common::id::subscription_ref;
use common::jobs::HandleWebhook;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::events::Entry;
use common::store::gate::Lane;
use common::store::read_backs::ReadBack;
use common::store::webhooks::{ReceivedWebhook, WebhookEnd};
use common::store::{StoreError, events, read_backs, subscriptions, webhooks};
use common::webhook::{Hint, NamedPayment, hint, without_billing_keys};
use secrecy::SecretString;
use sqlx::PgConnection;
use toss::LookupOutcome;

use self::followup::{WebhookVerdict, follow, is_forged, named_payment};
use crate::env::{Env, Tx, raise_alarm};
use crate::gateway::health;
use crate::gateway::rate_limiter::pause_of;
use crate::gateway::reads::{gateway_account_of, read_back};

mod followup;

/// What could not be settled by then is left to a person; the daily comparison of the books goes on.
const MAX_WAIT: TimeDelta = TimeDelta::hours(24);
/// Anybody can send events that name a payment: it is read back once a minute at most, however many come.
const READ_BACK_PAUSE: TimeDelta = TimeDelta::minutes(1);

#[tracing::instrument(name = "job.handle_webhook", skip_all, fields(webhook.id = %job.webhook_id))]
pub(crate) async fn handle_webhook(
    job: HandleWebhook,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let mut conn = env.pool.acquire().await?;
    let Some(event) = webhooks::find_received(&mut conn, job.webhook_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the webhook is settled".into())));
    };
    drop(conn);
    match hint(&event.body) {
        Hint::Payment(named) => about_payment(&env, &lease, &event, &named).await,
        Hint::BillingKeyDeleted(billing_key) => {
            let now = env.clock.now();
            let mut tx = env.pool.begin().await?;
            let verdict = note_deleted_key(&env, &mut tx, &billing_key, now).await?;
            end(&env, &lease, tx, &event, verdict).await
        }
        Hint::Other(kind) => {
            let verdict = WebhookVerdict::ignored(format!("{kind}: nothing that concerns billing"));
            end(&env, &lease, env.pool.begin().await?, &event, verdict).await
        }
        Hint::Unreadable => {
            let verdict = WebhookVerdict::ignored("the body is not a JSON object");
            end(&env, &lease, env.pool.begin().await?, &event, verdict).await
        }
    }
}

/// Writes an audit entry for each subscription that is charged with this key.
async fn note_deleted_key(
    env: &Env,
    conn: &mut PgConnection,
    billing_key: &SecretString,
    now: DateTime<Utc>,
) -> Result<WebhookVerdict, StoreError> {
    let ids = subscriptions::of_fingerprints(conn, &env.sealer.fingerprints(billing_key)).await?;
    for id in &ids {
        let Some(subscription) = subscriptions::lock(conn, *id).await? else { continue };
        // The webhook carries no proof, so the card is kept: the next charge shows whether the key still works.
        let why = "Toss reports the billing key as deleted; the next charge shows whether it is";
        let entry = Entry { actor: "toss", what: "billing_key.reported_deleted", why };
        events::append(conn, &subscription, entry, now).await?;
        tracing::warn!(subscription.id = %subscription_ref(*id), "the billing key is reported as deleted");
    }
    Ok(match ids.len() {
        0 => WebhookVerdict::ignored("no card of ours is charged with this key"),
        count => WebhookVerdict::End(WebhookEnd::Handled, format!("noted at {count} subscriptions")),
    })
}

async fn about_payment(
    env: &Env,
    lease: &Lease,
    event: &ReceivedWebhook,
    named: &NamedPayment,
) -> Result<Ran, JobError> {
    let mut conn = env.pool.acquire().await?;
    let found = named_payment(&mut conn, named).await?;
    drop(conn);
    let Some((attempt, kept)) = found else {
        let verdict = WebhookVerdict::ignored("no payment of ours goes by this order or key");
        return end(env, lease, env.pool.begin().await?, event, verdict).await;
    };
    let event = &ReceivedWebhook { subscription_id: Some(attempt.subscription_id), ..event.clone() };
    if let Some(finish) = health::blocked(env, gateway_account_of(attempt.kind)).await? {
        return Ok(Ran::Finish(finish));
    }
    let read_at = match claim(env, &attempt, event).await? {
        ReadBack::Now(at) => at,
        ReadBack::Covered => {
            let what = "the payment was read back and followed up for another event since this one came";
            let verdict = WebhookVerdict::End(WebhookEnd::Handled, what.into());
            return end(env, lease, env.pool.begin().await?, event, verdict).await;
        }
        ReadBack::NotBefore(run_at) => {
            let reason = "the payment was read back a moment ago".into();
            return Ok(Ran::Finish(Finish::Snooze { reason, run_at }));
        }
    };
    follow_up(env, lease, event, named, (&attempt, kept.as_ref(), read_at)).await
}

/// Reads the payment back, and does what it finds there.
async fn follow_up(
    env: &Env,
    lease: &Lease,
    event: &ReceivedWebhook,
    named: &NamedPayment,
    (attempt, kept, read_at): (&Payment, Option<&SecretString>, DateTime<Utc>),
) -> Result<Ran, JobError> {
    let shown = match read_back(env, attempt, Lane::Webhook).await? {
        LookupOutcome::Found(shown) => shown,
        LookupOutcome::NotFound { .. } => {
            let verdict = WebhookVerdict::ignored("Toss knows no such payment");
            return end(env, lease, env.pool.begin().await?, event, verdict).await;
        }
        LookupOutcome::Unavailable(why) => {
            tracing::info!(why = why.message, "the payment could not be read back");
            let pause = READ_BACK_PAUSE.max(pause_of(why.retry_after));
            let verdict = WebhookVerdict::Later("Toss could not be asked", pause);
            return end(env, lease, env.pool.begin().await?, event, verdict).await;
        }
    };
    let mut tx = env.pool.begin().await?;
    let verdict = if is_forged(named, &shown, kept) {
        raise_alarm("forged_webhook");
        tracing::error!(order.id = attempt.order_id, "a webhook carries another secret than its payment");
        WebhookVerdict::ignored("forged: it carries another secret than its payment")
    } else {
        follow(env, &mut tx, attempt, &shown, env.clock.now()).await?
    };
    if matches!(verdict, WebhookVerdict::End(WebhookEnd::Handled, _)) {
        read_backs::mark_followed_up(&mut tx, attempt.id, read_at).await?;
    }
    end(env, lease, tx, event, verdict).await
}

async fn claim(env: &Env, attempt: &Payment, event: &ReceivedWebhook) -> Result<ReadBack, StoreError> {
    let mut conn = env.pool.acquire().await?;
    let now = env.clock.now();
    read_backs::claim_read_back(&mut conn, attempt.id, event.received_at, READ_BACK_PAUSE, now).await
}

/// The end of the event, of its job, and whatever was booked for it: one commit.
async fn end(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    event: &ReceivedWebhook,
    verdict: WebhookVerdict,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let verdict = match verdict {
        WebhookVerdict::Later(reason, _) if now - event.received_at >= MAX_WAIT => {
            WebhookVerdict::End(WebhookEnd::Failed, format!("{reason}, for a day now"))
        }
        other => other,
    };
    let finish = match verdict {
        WebhookVerdict::Later(reason, wait) => Finish::Snooze { reason: reason.into(), run_at: now + wait },
        WebhookVerdict::End(ended, note) => {
            let body = without_billing_keys(&event.body);
            webhooks::settle(&mut tx, (event.id, event.subscription_id), ended, &note, &body, now).await?;
            match ended {
                WebhookEnd::Handled => Finish::Done(Some(note)),
                WebhookEnd::Ignored => Finish::Discard(note),
                WebhookEnd::Failed => Finish::Fail(note),
            }
        }
    };
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}
