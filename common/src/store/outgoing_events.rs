//! The outbox of webhooks: what is to be delivered next, and what became of it. The rows are written by the database.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};

/// An event that is to be delivered, and what stands in its way.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub kind: String,
    pub body: String,
    pub tries: i32,
    pub first_tried_at: Option<DateTime<Utc>>,
    /// No earlier event of its subscription waits.
    pub is_first: bool,
    /// Whether anybody listens to events at all.
    pub is_heard: bool,
}

pub async fn find_waiting(conn: &mut PgConnection, id: Uuid) -> Result<Option<Waiting>, StoreError> {
    let row = sqlx::query_as!(
        Waiting,
        r#"
        select event.id, event.subscription_id, event.type as kind, event.body, event.tries, event.first_tried_at,
               not exists (select from webhook_events_out earlier
                            where earlier.subscription_id = event.subscription_id and earlier.state = 'pending'
                              and earlier.seq < event.seq) as "is_first!",
               coalesce((select (value->>'listening')::boolean from settings where name = 'events'), false) as "is_heard!"
          from webhook_events_out event where event.id = $1 and event.state = 'pending'
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EventEnd {
    Delivered,
    /// Given up, or the endpoint is gone.
    Failed,
    /// Nobody listens any more; it was not sent.
    Unheard,
}

/// Ends a waiting event. `tried`: it was sent just now.
pub async fn settle(
    conn: &mut PgConnection,
    id: Uuid,
    end: EventEnd,
    error: Option<&str>,
    tried: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update webhook_events_out
           set state = $2, last_error = coalesce($3, last_error), settled_at = $5, tries = tries + $4::int,
               first_tried_at = case when $4 = 1 then coalesce(first_tried_at, $5) else first_tried_at end,
               last_tried_at = case when $4 = 1 then $5 else last_tried_at end
         where id = $1 and state = 'pending'
        "#,
        id,
        <&str>::from(end),
        error,
        i32::from(tried),
        now,
    )
    .execute(conn)
    .await?;
    one_row("settle an event", &done)
}

/// It was sent and not taken; it waits on.
pub async fn failed_try(
    conn: &mut PgConnection,
    id: Uuid,
    error: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update webhook_events_out
           set tries = tries + 1, first_tried_at = coalesce(first_tried_at, $3), last_tried_at = $3, last_error = $2
         where id = $1 and state = 'pending'
        "#,
        id,
        error,
        now,
    )
    .execute(conn)
    .await?;
    one_row("keep a failed try of an event", &done)
}

/// The events that are next in their subscription and have no waiting or running job: id and subscription. `of`: only this
/// subscription's; `before`: only those written up to then.
pub async fn stranded(
    conn: &mut PgConnection,
    of: Option<Uuid>,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select event.id, event.subscription_id from webhook_events_out event
         where event.state = 'pending' and ($2::timestamptz is null or event.created_at <= $2)
           and ($1::uuid is null or event.subscription_id = $1)
           and not exists (select from webhook_events_out earlier
                            where earlier.subscription_id = event.subscription_id and earlier.state = 'pending'
                              and earlier.seq < event.seq)
           and not exists (
               select from jobs
                where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'deliver-event'
                  and jobs.subject->>'event' = 'evt_' || replace(event.id::text, '-', ''))
         order by event.seq
         limit $3
        "#,
        of,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.subscription_id)).collect())
}
