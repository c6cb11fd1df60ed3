//! Sending an e-mail again because an operator asks for it: a new e-mail with its own Message-ID, to the customer's
//! newest address.
//!
//! Mailboxes drop a second e-mail with a Message-ID that they know, so a copy under the old one would not arrive.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::erasure::ERASED_ADDRESS;
use crate::id::new_id;
use crate::jobs;
use crate::jobs::{QueueError, SendEmail};
use crate::store::emails::EmailStatus;
use crate::store::events::Entry;
use crate::store::{StoreError, emails, events, subscriptions, users};

#[derive(Debug, Clone, Copy)]
pub struct ResendRequest<'a> {
    pub email_id: Uuid,
    /// `operator:<e-mail>`.
    pub actor: &'a str,
    pub reason: &'a str,
}

/// The e-mail that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resent {
    /// A new one; the old one where that was still waiting, and is tried now.
    pub email_id: Uuid,
    pub to_address: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    #[error("there is no such e-mail")]
    NotFound,
    #[error("its customer was erased")]
    Erased,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Queues a copy of the e-mail and its job, with an audit entry on the subscription. An e-mail that still waits is
/// tried at once instead: a second one would arrive beside it.
pub async fn resend_email(
    conn: &mut PgConnection,
    request: ResendRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Resent, ResendError> {
    let user_id = emails::find(conn, request.email_id).await?.ok_or(ResendError::NotFound)?.user_id;
    // An erasure holds the user. Read after it, the e-mail shows whether its customer was erased meanwhile.
    let newest = users::lock(conn, user_id).await?.and_then(|customer| customer.email);
    let email = emails::find(conn, request.email_id).await?.ok_or(ResendError::NotFound)?;
    if email.to_address == ERASED_ADDRESS {
        return Err(ResendError::Erased);
    }
    let resent = if email.status == EmailStatus::Queued {
        try_now(conn, request, email.subscription_id, now).await?;
        Resent { email_id: request.email_id, to_address: email.to_address }
    } else {
        let to_address = newest.unwrap_or(email.to_address);
        let email_id = new_id(now);
        emails::insert_copy(conn, request.email_id, email_id, &to_address, now).await?;
        let job = SendEmail { email_id, subscription_id: email.subscription_id };
        jobs::enqueue(conn, &job, now, now).await?;
        Resent { email_id, to_address }
    };
    let subscription = subscriptions::find(conn, email.subscription_id).await?;
    let subscription = subscription.ok_or(ResendError::NotFound)?;
    let why = format!("{} (e-mail {} of kind {})", request.reason, request.email_id, email.kind);
    let entry = Entry { actor: request.actor, what: "email.resent", why: &why };
    events::append(conn, &subscription, entry, now).await?;
    Ok(resent)
}

async fn try_now(
    conn: &mut PgConnection,
    request: ResendRequest<'_>,
    subscription_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), ResendError> {
    if let Some(job) = emails::live_job(conn, request.email_id).await? {
        queue::retry_now(conn, job, now, request.actor).await?;
    } else {
        let job = SendEmail { email_id: request.email_id, subscription_id };
        jobs::enqueue(conn, &job, now, now).await?;
    }
    Ok(())
}
