//! Taking a cancel back: the subscription goes on as if it had not been canceled, as long as what is paid for still runs.
//!
//! Nothing is charged by it: the next charge stays on its date, and is announced where it is near. One transaction under the subscription's lock, so a death
//! leaves either the cancel or the resumed subscription with its entry in the audit log.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::calendar::seoul_date;
use crate::domain::subscription::{ResumeRefused, Subscription, resume};
use crate::id::subscription_ref;
use crate::jobs;
use crate::jobs::SendRenewalNotices;
use crate::store::events::Entry;
use crate::store::{StoreError, events, invoices, refunds, subscriptions};

#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error("there is no such subscription")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] ResumeRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who takes the cancel of which subscription back.
#[derive(Debug, Clone, Copy)]
pub struct ResumeSubscription<'a> {
    pub subscription_id: Uuid,
    /// Only this user's subscription is found; none for an operator.
    pub user_id: Option<Uuid>,
    pub actor: &'a str,
}

/// Resumes and answers the subscription as it is then.
pub async fn resume_subscription(
    conn: &mut PgConnection,
    request: ResumeSubscription<'_>,
    now: DateTime<Utc>,
) -> Result<Subscription, ResumeError> {
    let found = subscriptions::lock(conn, request.subscription_id).await?;
    let before = found
        .filter(|subscription| request.user_id.is_none_or(|user| subscription.user_id == user))
        .ok_or(ResumeError::NotFound)?;
    let refunds = refunds::of_period(conn, before.id, before.period_no).await?;
    resume(&before, refunds, seoul_date(now))?;
    subscriptions::resume(conn, before.id, before.current_period_end, now).await.map_err(
        |error| match error.constraint() {
            Some("subscriptions_one_living_per_user") => ResumeRefused::AnotherSubscription.into(),
            Some(_) | None => ResumeError::Store(error),
        },
    )?;
    // The cancel closed the held invoices, too. They wait for an operator again, as they did before.
    if let Some(canceled_at) = before.canceled_at {
        invoices::reopen_held(conn, before.id, canceled_at).await?;
    }
    jobs::enqueue(conn, &SendRenewalNotices::about(before.id, now), now, now)
        .await
        .map_err(StoreError::from)?;
    let entry =
        Entry { actor: request.actor, what: "subscription.resumed", why: "the cancel was taken back" };
    events::append(conn, &before, entry, now).await?;
    tracing::info!(subscription.id = %subscription_ref(before.id), actor = request.actor, "subscription resumed");
    subscriptions::find(conn, before.id).await?.ok_or(ResumeError::NotFound)
}
