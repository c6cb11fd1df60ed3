//! Table `webhook_events_out`: events for the merchant's application, their deliveries, and the endpoint they go to.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
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

/// Which events; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Empty: any.
    pub ids: Vec<Uuid>,
    pub subscription_id: Option<Uuid>,
    /// `pending`, `delivered`, `failed` or `unheard`.
    pub state: Option<String>,
    /// Written at or after.
    pub since: Option<DateTime<Utc>>,
    /// Written before.
    pub until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRow {
    #[serde(serialize_with = "as_event_ref")]
    pub id: Uuid,
    pub seq: i64,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(serialize_with = "as_subscription_ref")]
    pub subscription_id: Uuid,
    pub state: String,
    pub tries: i32,
    pub created_at: DateTime<Utc>,
    pub first_tried_at: Option<DateTime<Utc>>,
    pub last_tried_at: Option<DateTime<Utc>>,
    /// When its job runs, if one waits.
    pub next_try_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub body: String,
}

fn as_event_ref<S: serde::Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::id::event_ref(*id))
}

fn as_subscription_ref<S: serde::Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::id::subscription_ref(*id))
}

/// Newest first.
pub async fn list(
    conn: &mut PgConnection,
    filter: &EventFilter,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"
        select event.id, event.seq, event.type as kind, event.subscription_id, event.state, event.tries,
               event.created_at, event.first_tried_at, event.last_tried_at, event.settled_at, event.last_error,
               event.body,
               (select min(run_at) from jobs
                 where jobs.state = 'available' and jobs.kind = 'deliver-event'
                   and jobs.subject->>'event' = 'evt_' || replace(event.id::text, '-', '')) as next_try_at
          from webhook_events_out event
         where (cardinality($1::uuid[]) = 0 or event.id = any ($1))
           and ($2::uuid is null or event.subscription_id = $2) and ($3::text is null or event.state = $3)
           and ($4::timestamptz is null or event.created_at >= $4)
           and ($5::timestamptz is null or event.created_at < $5)
         order by event.seq desc
         limit $6
        "#,
        &filter.ids,
        filter.subscription_id,
        filter.state,
        filter.since,
        filter.until,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The ids of the settled events that the filter names, oldest first.
pub async fn settled(conn: &mut PgConnection, filter: &EventFilter) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select id from webhook_events_out
         where state <> 'pending' and (cardinality($1::uuid[]) = 0 or id = any ($1))
           and ($2::uuid is null or subscription_id = $2) and ($3::text is null or state = $3)
           and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)
         order by seq
        "#,
        &filter.ids,
        filter.subscription_id,
        filter.state,
        filter.since,
        filter.until,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Has the next `limit` settled events after `after` delivered again, with three new days of tries. Answers the last
/// one's place and how many there were; none when there are no more.
pub async fn replay(
    conn: &mut PgConnection,
    filter: &EventFilter,
    after: i64,
    limit: i64,
) -> Result<Option<(i64, usize)>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        with chosen as (
            select id from webhook_events_out
             where state <> 'pending' and seq > $6 and (cardinality($1::uuid[]) = 0 or id = any ($1))
               and ($2::uuid is null or subscription_id = $2) and ($3::text is null or state = $3)
               and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)
             order by seq limit $7)
        update webhook_events_out event
           set state = 'pending', tries = 0, first_tried_at = null, settled_at = null
          from chosen where event.id = chosen.id
        returning event.seq
        "#,
        &filter.ids,
        filter.subscription_id,
        filter.state,
        filter.since,
        filter.until,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().max().map(|last| (*last, rows.len())))
}

/// All none before any worker has had a `WEBHOOK_URL`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    pub listening: bool,
    /// Scheme, host and port of the endpoint; its path may be a secret.
    pub endpoint: Option<String>,
    pub actor: Option<String>,
    pub why: Option<String>,
    pub since: Option<DateTime<Utc>>,
}

pub async fn endpoint(conn: &mut PgConnection) -> Result<Listener, StoreError> {
    let row = sqlx::query_as!(
        Listener,
        r#"
        select (value->>'listening')::boolean as "listening!", value->>'endpoint' as endpoint, value->>'actor' as actor,
               value->>'why' as why, (value->>'since')::timestamptz as since
          from settings where name = 'events'
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.unwrap_or_default())
}

/// A worker has this endpoint: from now on events are kept for it. An endpoint that was turned off stays off until an
/// operator turns it on, or another one takes its place. Answers whether anything changed.
pub async fn announce_endpoint(
    conn: &mut PgConnection,
    endpoint: &str,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        insert into settings (name, value) values ('events', $1)
        on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp()
         where settings.value->>'fingerprint' is distinct from excluded.value->>'fingerprint'
        "#,
        json!({ "listening": true, "endpoint": endpoint, "fingerprint": fingerprint, "actor": "worker",
                "why": "WEBHOOK_URL names it", "since": now }),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Turns the delivery of events on or off. Answers whether there is an endpoint to turn.
pub async fn switch_endpoint(
    conn: &mut PgConnection,
    listening: bool,
    actor: &str,
    why: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update settings set value = value || $1, updated_at = clock_timestamp() where name = 'events'",
        json!({ "listening": listening, "actor": actor, "why": why, "since": now }),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
