//! Writes an e-mail with the fact it tells, and the job that sends it, in the caller's transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    domain::subscription::Subscription,
    email::RenderedEmail,
    id::new_id,
    jobs::{self, SendEmail},
    store::{
        StoreError,
        emails::{self, NewEmail},
    },
};

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
    let id = new_id(now);
    let unique_key = format!("{}:{}:{}:{}", fact.kind, to.id.simple(), fact.period_no, fact.step);
    let email = NewEmail {
        id,
        kind: fact.kind,
        unique_key: &unique_key,
        user_id: to.user_id,
        subscription_id: to.id,
        to_address: &to.customer_email,
        rendered,
        send_before,
    };
    let is_new = emails::insert(conn, &email, now).await?;
    if is_new {
        jobs::enqueue(conn, &SendEmail { email_id: id, subscription_id: to.id }, now, now).await?;
    }
    Ok(is_new)
}
