//! Erasing a customer: what is personal goes, the money rows stay, and the billing keys are deleted at the gateway by their
//! own job. One transaction under the locks of the user and of every subscription; running it again erases what came since.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::erasure::{EraseRefused, Unfinished, erase};
use crate::domain::subscription::{Subscription, SubscriptionStatus, has_access};
use crate::id::new_id;
use crate::jobs;
use crate::jobs::{DeleteBillingKey, QueueError};
use crate::store::events::Entry;
use crate::store::{StoreError, billing_key_deletions, erasures, events, subscriptions};

#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error(transparent)]
    Refused(#[from] EraseRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// How much was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erased {
    pub user_id: Uuid,
    pub subscriptions: usize,
    /// That are deleted at the gateway now.
    pub billing_keys: usize,
    pub emails: u64,
    pub webhooks: u64,
    pub diary_entries: u64,
    /// False: there was nothing left to erase.
    pub changed: bool,
}

/// Erases all that is personal about this user, or says what has to come to its end first. The caller commits.
pub async fn erase_customer(
    conn: &mut PgConnection,
    user_id: Uuid,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Erased, EraseError> {
    let ids = erasures::lock(conn, user_id).await?;
    let mut owned = Vec::with_capacity(ids.len());
    for id in ids {
        owned.extend(subscriptions::find(conn, id).await?);
    }
    let running = owned.iter().filter(|subscription| runs(subscription, now)).count();
    erase(Unfinished { running, ..erasures::unfinished(conn, user_id).await? })?;
    let billing_keys = retire_keys(conn, &owned, now).await?;
    let changed = erasures::person(conn, user_id, now).await?;
    let emails = erasures::emails(conn, user_id, now).await?;
    let webhooks = erasures::webhooks(conn, user_id).await?;
    let diary_entries = erasures::diaries(conn, user_id).await?;
    if changed {
        for subscription in &owned {
            let entry = Entry {
                actor,
                what: "customer.erased",
                why: "what was personal is erased; the money rows stay",
            };
            events::append(conn, subscription, entry, now).await?;
        }
        tracing::info!(user.id = %user_id, actor, "customer erased");
    }
    let subscriptions = owned.len();
    Ok(Erased { user_id, subscriptions, billing_keys, emails, webhooks, diary_entries, changed })
}

fn runs(subscription: &Subscription, now: DateTime<Utc>) -> bool {
    subscription.status != SubscriptionStatus::Canceled || has_access(subscription, now)
}

/// The keys leave the subscriptions and wait, sealed, until the gateway has deleted them.
async fn retire_keys(
    conn: &mut PgConnection,
    owned: &[Subscription],
    now: DateTime<Utc>,
) -> Result<usize, EraseError> {
    let mut retired = 0_usize;
    for subscription in owned {
        let Some(sealed) = &subscription.sealed_billing_key else { continue };
        let deletion_id = new_id(now);
        billing_key_deletions::insert(conn, deletion_id, subscription.id, sealed, now).await?;
        let job = DeleteBillingKey { deletion_id, subscription_id: subscription.id };
        jobs::enqueue(conn, &job, now, now).await?;
        retired = retired.saturating_add(1);
    }
    Ok(retired)
}
