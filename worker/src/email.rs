//! Sends one e-mail of the outbox: at least once, recognisable by its Message-ID, never after its moment has passed.

use apalis::prelude::Data;
use chrono::TimeDelta;
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    domain::{erasure::ERASED_ADDRESS, plan_change::PlanChange},
    jobs::SendEmail,
    store::{
        self,
        emails::{self, EmailEnd, QueuedEmail},
        plan_changes, subscriptions,
    },
};
use sqlx::PgConnection;

use crate::{crash, env::Env, gateway::health, mailer::MailError};

pub(crate) async fn send_email(job: SendEmail, lease: Lease, env: Data<Env>) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut conn = env.pool.acquire().await?;
    let stand = store::gate::read(&mut conn).await?;
    if let Some(finish) = health::bound_elsewhere(&env, &stand, now) {
        return Ok(Ran::Finish(finish));
    }
    let Some(email) = emails::find_queued(&mut conn, job.email_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the e-mail is settled".into())));
    };
    if email.send_before.is_some_and(|before| now >= before) {
        return settle(&env, &lease, &email, EmailEnd::Dropped, Some("its moment had passed")).await;
    }
    if email.to_address == ERASED_ADDRESS {
        return settle(&env, &lease, &email, EmailEnd::Dropped, Some("the customer was erased")).await;
    }
    if is_pointless(&mut conn, &email).await? {
        return settle(&env, &lease, &email, EmailEnd::Dropped, Some("there is no reason for it any more"))
            .await;
    }
    drop(conn);
    let sent = env.mailer.send(&email).await;
    crash::point("after_mail");
    match sent {
        Ok(()) => settle(&env, &lease, &email, EmailEnd::Sent, None).await,
        Err(MailError::Refused(why)) => settle(&env, &lease, &email, EmailEnd::Failed, Some(&why)).await,
        Err(MailError::Away(why)) => {
            let waited = now - email.created_at;
            let pause = (waited / 2).clamp(TimeDelta::seconds(15), TimeDelta::minutes(30));
            Ok(Ran::Finish(Finish::Snooze {
                reason: format!("the mail server is away: {why}"),
                run_at: now + pause,
            }))
        }
    }
}

/// A notice of a renewal that will not come; a question that has been answered or is moot.
async fn is_pointless(conn: &mut PgConnection, email: &QueuedEmail) -> Result<bool, JobError> {
    if !["renewal_notice", "card_reminder", "card_needed", "consent_request"].contains(&email.kind.as_str()) {
        return Ok(false);
    }
    let subscription = subscriptions::find(conn, email.subscription_id).await?;
    if subscription.is_none_or(|it| it.canceled_at.is_some()) {
        return Ok(true);
    }
    let pending = plan_changes::pending_of(conn, &[email.subscription_id]).await?;
    let is_asked_for = |change: &PlanChange| {
        email.unique_key.contains(&change.id.simple().to_string()) && !change.is_agreed()
    };
    Ok(email.kind == "consent_request" && !pending.iter().any(is_asked_for))
}

async fn settle(
    env: &Env,
    lease: &Lease,
    email: &QueuedEmail,
    end: EmailEnd,
    why: Option<&str>,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    emails::settle(&mut tx, email.id, end, why, now).await?;
    let told = format!("{} {}", <&str>::from(end), email.kind);
    let finish = match end {
        EmailEnd::Sent => Finish::Done(Some(told)),
        EmailEnd::Dropped => Finish::Discard(format!("{told}: {}", why.unwrap_or_default())),
        EmailEnd::Failed => Finish::Fail(format!("{told}: {}", why.unwrap_or_default())),
    };
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}
