//! E-mails, webhooks in and out, and the audit log of subscriptions, as the console lists them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::StoreError, Filter};

/// An e-mail without its text.
#[derive(Debug, Clone)]
pub struct EmailRow {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub kind: String,
    pub to_address: String,
    pub subject: String,
    pub status: String,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// Newest first.
pub async fn emails(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<EmailRow>, StoreError> {
    let rows = sqlx::query_as!(
        EmailRow,
        r#"
        select id, subscription_id, kind, to_address, subject, status, last_error, created_at, settled_at
          from emails
         where id >= $1 and id < $2
           and ($3::text is null or status = $3)
           and ($4::text is null or kind = $4)
           and ($5::uuid is null or subscription_id = $5)
         order by id desc limit $6
        "#,
        filter.least_id(),
        filter.end_id(),
        filter.state,
        filter.kind,
        filter.subscription_id,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// An e-mail as it was, or will be, sent.
#[derive(Debug, Clone)]
pub struct EmailText {
    pub row: EmailRow,
    pub body_html: String,
    pub body_text: String,
    pub message_id: String,
}

pub async fn email(conn: &mut PgConnection, id: Uuid) -> Result<Option<EmailText>, StoreError> {
    let row = sqlx::query!(
        r#"
        select id, subscription_id, kind, to_address, subject, status, last_error, created_at, settled_at, body_html,
               body_text, message_id
          from emails where id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| EmailText {
        row: EmailRow {
            id: row.id,
            subscription_id: row.subscription_id,
            kind: row.kind,
            to_address: row.to_address,
            subject: row.subject,
            status: row.status,
            last_error: row.last_error,
            created_at: row.created_at,
            settled_at: row.settled_at,
        },
        body_html: row.body_html,
        body_text: row.body_text,
        message_id: row.message_id,
    }))
}

/// A webhook that came in.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    pub id: Uuid,
    pub transmission_id: String,
    pub event_type: Option<String>,
    pub state: String,
    pub note: Option<String>,
    pub received_at: DateTime<Utc>,
    pub handled_at: Option<DateTime<Utc>>,
    /// Whose payment it names.
    pub subscription_id: Option<Uuid>,
}

/// Newest first.
pub async fn webhooks(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<WebhookRow>, StoreError> {
    let rows = sqlx::query_as!(
        WebhookRow,
        r#"
        select id, transmission_id, event_type, state, note, received_at, handled_at, subscription_id
          from webhook_events_in
         where id >= $1 and id < $2
           and ($3::text is null or state = $3)
           and ($4::text is null or event_type = $4)
           and ($5::uuid is null or subscription_id = $5)
         order by id desc limit $6
        "#,
        filter.least_id(),
        filter.end_id(),
        filter.state,
        filter.kind,
        filter.subscription_id,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// What a webhook brought: its headers and its body as text, as far as it is text.
#[derive(Debug, Clone)]
pub struct WebhookText {
    pub headers: Value,
    pub body: Vec<u8>,
}

pub async fn webhook(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<(WebhookRow, WebhookText)>, StoreError> {
    let row = sqlx::query!(
        r#"
        select id, transmission_id, event_type, state, note, received_at, handled_at, subscription_id, headers, body
          from webhook_events_in where id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let text = WebhookText { headers: row.headers, body: row.body };
        let row = WebhookRow {
            id: row.id,
            transmission_id: row.transmission_id,
            event_type: row.event_type,
            state: row.state,
            note: row.note,
            received_at: row.received_at,
            handled_at: row.handled_at,
            subscription_id: row.subscription_id,
        };
        (row, text)
    }))
}

/// An event for the merchant's application, with its delivery; `none` where there is none.
#[derive(Debug, Clone)]
pub struct EventOutRow {
    pub id: Uuid,
    pub seq: i64,
    pub kind: String,
    pub subscription_id: Uuid,
    pub state: String,
    pub tries: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_tried_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// Newest first.
pub async fn events_out(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<EventOutRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventOutRow,
        r#"
        select event.id, event.seq, event.type as kind, event.subscription_id,
               coalesce(delivery.state, 'none') as "state!", coalesce(delivery.tries, 0) as "tries!",
               delivery.last_error as "last_error?", event.created_at, delivery.last_tried_at as "last_tried_at?",
               delivery.settled_at as "settled_at?"
          from webhook_events_out event left join webhook_deliveries delivery on delivery.event_id = event.id
         where ($1::text is null or delivery.state = $1 or ($1 = 'none' and delivery.event_id is null))
           and ($2::text is null or event.type = $2)
           and ($3::uuid is null or event.subscription_id = $3)
           and ($4::timestamptz is null or event.created_at >= $4)
           and ($5::timestamptz is null or event.created_at < $5)
           and ($6::bigint is null or event.seq < $6)
         order by event.seq desc limit $7
        "#,
        filter.state,
        filter.kind,
        filter.subscription_id,
        filter.since,
        filter.until,
        filter.before_number,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// One of them.
pub async fn event_out(conn: &mut PgConnection, id: Uuid) -> Result<Option<EventOutRow>, StoreError> {
    let row = sqlx::query_as!(
        EventOutRow,
        r#"
        select event.id, event.seq, event.type as kind, event.subscription_id,
               coalesce(delivery.state, 'none') as "state!", coalesce(delivery.tries, 0) as "tries!",
               delivery.last_error as "last_error?", event.created_at, delivery.last_tried_at as "last_tried_at?",
               delivery.settled_at as "settled_at?"
          from webhook_events_out event left join webhook_deliveries delivery on delivery.event_id = event.id
         where event.id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// The bytes that are sent.
pub async fn event_out_body(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, StoreError> {
    let body = sqlx::query_scalar!("select body from webhook_events_out where id = $1", id);
    Ok(body.fetch_optional(conn).await?)
}

/// An entry of the subscriptions' audit log.
#[derive(Debug, Clone)]
pub struct AuditRow {
    pub id: i64,
    pub subscription_id: Uuid,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub what: String,
    pub why: String,
    pub before: Value,
    pub after: Value,
}

/// Newest first.
pub async fn audit(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<AuditRow>, StoreError> {
    let rows = sqlx::query_as!(
        AuditRow,
        r#"
        select id, subscription_id, at, actor, what, why, before, after
          from subscription_events
         where ($1::text is null or actor = $1)
           and ($2::text is null or what = $2)
           and ($3::uuid is null or subscription_id = $3)
           and ($4::timestamptz is null or at >= $4)
           and ($5::timestamptz is null or at < $5)
           and ($6::bigint is null or id < $6)
         order by id desc limit $7
        "#,
        filter.actor,
        filter.kind,
        filter.subscription_id,
        filter.since,
        filter.until,
        filter.before_number,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
