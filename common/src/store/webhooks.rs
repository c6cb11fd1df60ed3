//! Webhooks that came in: kept once, looked at by a job, ended with what was made of them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};

#[derive(Debug, Clone)]
pub struct NewWebhook<'a> {
    pub id: Uuid,
    pub transmission_id: &'a str,
    pub headers: Value,
    pub body: &'a [u8],
    pub event_type: Option<&'a str>,
}

/// A webhook that is not handled yet.
#[derive(Debug, Clone)]
pub struct ReceivedWebhook {
    pub id: Uuid,
    pub received_at: DateTime<Utc>,
    pub body: Vec<u8>,
    /// Whose payment it names, once that is known.
    pub subscription_id: Option<Uuid>,
}

/// How a webhook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WebhookEnd {
    /// What it announced is booked, or was before.
    Handled,
    /// Not about our payments, forged, or of no interest.
    Ignored,
    /// Needs manual review.
    Failed,
}

/// Stores a webhook unless its transmission id is known. Returns whether it is new.
pub async fn insert(
    conn: &mut PgConnection,
    new: &NewWebhook<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        insert into webhook_events_in (id, transmission_id, received_at, headers, body, event_type)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint webhook_events_in_transmission_id_key do nothing
        "#,
        new.id,
        new.transmission_id,
        now,
        new.headers,
        new.body,
        new.event_type,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The webhook, if it is not handled yet.
pub async fn find_received(conn: &mut PgConnection, id: Uuid) -> Result<Option<ReceivedWebhook>, StoreError> {
    let row = sqlx::query_as!(
        ReceivedWebhook,
        "select id, received_at, body, subscription_id from webhook_events_in where id = $1 and state = 'received'",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// Ends a webhook. `body` replaces the stored one.
pub async fn settle(
    conn: &mut PgConnection,
    (id, subscription_id): (Uuid, Option<Uuid>),
    end: WebhookEnd,
    note: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update webhook_events_in set state = $2, note = $3, body = $4, handled_at = $5, subscription_id = $6
         where id = $1 and state = 'received'
        "#,
        id,
        <&str>::from(end),
        note,
        body,
        now,
        subscription_id,
    )
    .execute(conn)
    .await?;
    one_row("settle a webhook", &done)
}

/// Webhooks that were received before `before`, are not settled, and have no job.
pub async fn abandoned(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReceivedWebhook>, StoreError> {
    let rows = sqlx::query_as!(
        ReceivedWebhook,
        r#"
        select webhook.id, webhook.received_at, webhook.body, webhook.subscription_id from webhook_events_in webhook
         where webhook.state = 'received' and webhook.received_at < $1
           and not exists (select from jobs
                            where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'handle-webhook'
                              and jobs.about = webhook.id)
         order by webhook.received_at
         limit $2
           for update of webhook skip locked
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Deletes up to `limit` handled webhooks that were received before then. Returns how many.
pub async fn forget_settled(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        delete from webhook_events_in
         where id in (select id from webhook_events_in
                       where state in ('ignored', 'handled') and received_at < $1 order by received_at limit $2)
        "#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
