//! Writes an e-mail with the fact it tells, and the job that sends it, in the caller's transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::subscription::Subscription;
use crate::email::RenderedEmail;
use crate::id::new_id;
use crate::jobs;
use crate::jobs::SendEmail;
use crate::store::emails::NewEmail;
use crate::store::{StoreError, emails};

/// What makes an e-mail one of a kind: the same fact never writes two.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a> {
    /// E.g. `payment_succeeded`.
    pub kind: &'a str,
    pub period_no: u32,
    /// Tells facts of one kind in one period apart: the payment attempt, the dunning attempt, the refund.
    pub step: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

impl From<OutboxError> for StoreError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Store(error) => error,
            OutboxError::Queue(error) => error.into(),
        }
    }
}

/// Puts the e-mail into the outbox unless this fact has written its own already. Answers whether it is new.
pub async fn post(
    conn: &mut PgConnection,
    to: &Subscription,
    fact: Fact<'_>,
    rendered: &RenderedEmail,
    send_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<bool, OutboxError> {
    Ok(emails::insert(conn, &address(to, fact, rendered, send_before, now)?, now).await?)
}

/// The row that [`post`] writes, for a statement that writes more than the e-mail.
pub fn address(
    to: &Subscription,
    fact: Fact<'_>,
    rendered: &RenderedEmail,
    send_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<NewEmail, OutboxError> {
    let id = new_id(now);
    Ok(NewEmail {
        id,
        kind: fact.kind.to_owned(),
        unique_key: format!("{}:{}:{}:{}", fact.kind, to.id.simple(), fact.period_no, fact.step),
        user_id: to.user_id,
        subscription_id: to.id,
        to_address: to.customer_email.clone(),
        subject: rendered.subject.clone(),
        body_html: rendered.html.clone(),
        body_text: rendered.text.clone(),
        message_id: format!("{}@{}", id.simple(), rendered.domain),
        send_before,
        job: jobs::row(&SendEmail { email_id: id, subscription_id: to.id }, now)?,
    })
}
