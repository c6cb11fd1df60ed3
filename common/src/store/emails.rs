//! The outbox: e-mails are written with the fact they tell, once per unique key, and sent by a job.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};
use crate::email::RenderedEmail;

/// An e-mail as it is written; the address and what it belongs to.
#[derive(Debug, Clone)]
pub struct NewEmail<'a> {
    pub id: Uuid,
    pub kind: &'a str,
    /// kind, subscription, period, attempt.
    pub unique_key: &'a str,
    pub user_id: Uuid,
    pub subscription_id: Uuid,
    pub to_address: &'a str,
    pub rendered: &'a RenderedEmail,
    /// After this instant it would tell something stale, and is dropped.
    pub send_before: Option<DateTime<Utc>>,
}

/// A queued e-mail, its row held by the caller's transaction.
#[derive(Debug, Clone)]
pub struct QueuedEmail {
    pub id: Uuid,
    pub kind: String,
    pub unique_key: String,
    pub subscription_id: Uuid,
    pub to_address: String,
    pub subject: String,
    pub body_html: String,
    pub body_text: String,
    pub message_id: String,
    pub send_before: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Writes the e-mail unless its unique key exists. Answers whether it is new.
pub async fn insert(
    conn: &mut PgConnection,
    new: &NewEmail<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text,
                            message_id, send_before, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        on conflict (unique_key) do nothing
        "#,
        new.id,
        new.kind,
        new.unique_key,
        new.user_id,
        new.subscription_id,
        new.to_address,
        new.rendered.subject,
        new.rendered.html,
        new.rendered.text,
        // Stable per row: a copy sent twice after a crash is recognisable.
        format!("{}@{}", new.id.simple(), new.rendered.domain),
        new.send_before,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The e-mail if it is still to be sent.
pub async fn find_queued(conn: &mut PgConnection, id: Uuid) -> Result<Option<QueuedEmail>, StoreError> {
    let row = sqlx::query_as!(
        QueuedEmail,
        r#"
        select id, kind, unique_key, subscription_id, to_address, subject, body_html, body_text, message_id, send_before,
               created_at
          from emails where id = $1 and status = 'queued'
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// How an e-mail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EmailEnd {
    Sent,
    /// Its moment had passed.
    Dropped,
    /// The mail server refused it for good.
    Failed,
}

pub async fn settle(
    conn: &mut PgConnection,
    id: Uuid,
    end: EmailEnd,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update emails set status = $2, last_error = $3, settled_at = $4 where id = $1 and status = 'queued'",
        id,
        <&str>::from(end),
        error,
        now,
    )
    .execute(conn)
    .await?;
    one_row("settle an e-mail", &done)
}
