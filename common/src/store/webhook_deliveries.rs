//! Tables `webhook_events_out` and `webhook_deliveries`: events for the merchant's application, what became of their
//! deliveries, and the endpoint they go to. Every event is recorded; it has a delivery where an endpoint is configured.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};
use crate::domain::outgoing_event::OutgoingEvent;
use crate::id::{as_event_ref, as_subscription_ref};

/// Writes the events of one change, with their deliveries where an endpoint is configured; a fact that has its event writes
/// none. Returns the one to deliver first, unless an earlier event of the subscription waits: its end makes the next job.
pub async fn insert(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    events: &[OutgoingEvent],
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, StoreError> {
    let columns = EventColumns::of(events);
    let first = sqlx::query_scalar!(
        r#"
        with written as (
            insert into webhook_events_out (id, type, unique_key, subscription_id, body, created_at)
            select new.id, new.kind, new.unique_key, $5, new.body, $6
              from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) with ordinality
                as new (id, kind, unique_key, body, place)
             order by new.place
            on conflict on constraint webhook_events_out_unique_key_key do nothing
            returning id, seq
        ), delivery as (
            insert into webhook_deliveries (event_id)
            select id from written
             where exists (select from settings where name = 'events' and (value->>'enabled')::boolean)
            returning event_id
        )
        select written.id from written join delivery on delivery.event_id = written.id
         where not exists (select from webhook_events_out earlier
                             join webhook_deliveries waiting on waiting.event_id = earlier.id
                            where earlier.subscription_id = $5 and waiting.state = 'pending')
         order by written.seq limit 1
        "#,
        &columns.ids,
        &columns.kinds,
        &columns.unique_keys,
        &columns.bodies,
        subscription_id,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(first)
}

/// Events turned on their side, for `unnest`.
#[derive(Default)]
pub(super) struct EventColumns {
    pub(super) ids: Vec<Uuid>,
    pub(super) kinds: Vec<String>,
    pub(super) unique_keys: Vec<String>,
    pub(super) bodies: Vec<String>,
}

impl EventColumns {
    pub(super) fn of(events: &[OutgoingEvent]) -> Self {
        let mut columns = Self::default();
        for event in events {
            columns.ids.push(event.id);
            columns.kinds.push(event.kind.to_owned());
            columns.unique_keys.push(event.unique_key.clone());
            columns.bodies.push(event.body.clone());
        }
        columns
    }
}

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
    /// Whether delivery is on.
    pub is_enabled: bool,
}

pub async fn find_waiting(conn: &mut PgConnection, id: Uuid) -> Result<Option<Waiting>, StoreError> {
    let row = sqlx::query_as!(
        Waiting,
        r#"
        select event.id, event.subscription_id, event.type as kind, event.body, delivery.tries, delivery.first_tried_at,
               not exists (select from webhook_events_out earlier
                             join webhook_deliveries waiting on waiting.event_id = earlier.id
                            where earlier.subscription_id = event.subscription_id and earlier.seq < event.seq
                              and waiting.state = 'pending') as "is_first!",
               coalesce((select (value->>'enabled')::boolean from settings where name = 'events'), false)
                   as "is_enabled!"
          from webhook_events_out event join webhook_deliveries delivery on delivery.event_id = event.id
         where event.id = $1 and delivery.state = 'pending'
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryEnd {
    Delivered,
    /// Given up, or the endpoint is gone.
    Failed,
}

/// Ends a waiting delivery with the try that has just been made.
pub async fn settle(
    conn: &mut PgConnection,
    event_id: Uuid,
    end: DeliveryEnd,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update webhook_deliveries
           set state = $2, last_error = coalesce($3, last_error), settled_at = $4, tries = tries + 1,
               first_tried_at = coalesce(first_tried_at, $4), last_tried_at = $4
         where event_id = $1 and state = 'pending'
        "#,
        event_id,
        <&str>::from(end),
        error,
        now,
    )
    .execute(conn)
    .await?;
    one_row("settle a delivery", &done)
}

/// Records a try that the endpoint did not accept; the delivery waits for the next one.
pub async fn record_failed_try(
    conn: &mut PgConnection,
    event_id: Uuid,
    error: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update webhook_deliveries
           set tries = tries + 1, first_tried_at = coalesce(first_tried_at, $3), last_tried_at = $3, last_error = $2
         where event_id = $1 and state = 'pending'
        "#,
        event_id,
        error,
        now,
    )
    .execute(conn)
    .await?;
    one_row("record a failed try of a delivery", &done)
}

/// Takes a waiting delivery back because delivery is off. The event stays, and can be replayed.
pub async fn withdraw(conn: &mut PgConnection, event_id: Uuid) -> Result<(), StoreError> {
    let done =
        sqlx::query!("delete from webhook_deliveries where event_id = $1 and state = 'pending'", event_id)
            .execute(conn)
            .await?;
    one_row("withdraw a delivery", &done)
}

/// Which events; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Empty: any.
    pub ids: Vec<Uuid>,
    pub subscription_id: Option<Uuid>,
    /// `pending`, `delivered`, `failed`, or `none` for events without a delivery.
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

/// Newest first.
pub async fn list(
    conn: &mut PgConnection,
    filter: &EventFilter,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"
        select event.id, event.seq, event.type as kind, event.subscription_id,
               coalesce(delivery.state, 'none') as "state!", coalesce(delivery.tries, 0) as "tries!",
               event.created_at, delivery.first_tried_at as "first_tried_at?", delivery.last_tried_at as "last_tried_at?",
               delivery.settled_at as "settled_at?", delivery.last_error as "last_error?", event.body,
               (select min(run_at) from jobs
                 where jobs.state = 'available' and jobs.kind = 'deliver-event'
                   and jobs.subject->>'event' = 'evt_' || replace(event.id::text, '-', '')) as next_try_at
          from webhook_events_out event left join webhook_deliveries delivery on delivery.event_id = event.id
         where (cardinality($1::uuid[]) = 0 or event.id = any ($1))
           and ($2::uuid is null or event.subscription_id = $2)
           and ($3::text is null or coalesce(delivery.state, 'none') = $3)
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

/// The ids of the events that the filter names and that do not wait for their delivery, oldest first.
pub async fn settled(conn: &mut PgConnection, filter: &EventFilter) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select event.id
          from webhook_events_out event left join webhook_deliveries delivery on delivery.event_id = event.id
         where delivery.state is distinct from 'pending'
           and (cardinality($1::uuid[]) = 0 or event.id = any ($1))
           and ($2::uuid is null or event.subscription_id = $2)
           and ($3::text is null or coalesce(delivery.state, 'none') = $3)
           and ($4::timestamptz is null or event.created_at >= $4)
           and ($5::timestamptz is null or event.created_at < $5)
         order by event.seq
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

/// Opens the delivery of an event anew, with three new days of tries. Returns the event's subscription, or `None` when the
/// event waits for its delivery already.
pub async fn replay(conn: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    let subscription_id = sqlx::query_scalar!(
        r#"
        with opened as (
            insert into webhook_deliveries (event_id)
            select event.id
              from webhook_events_out event left join webhook_deliveries delivery on delivery.event_id = event.id
             where event.id = $1 and delivery.state is distinct from 'pending'
            on conflict (event_id) do update
               set state = 'pending', tries = 0, first_tried_at = null, settled_at = null
            returning event_id)
        select event.subscription_id from opened join webhook_events_out event on event.id = opened.event_id
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(subscription_id)
}

/// Where events are delivered. Nothing is set before a worker has had a `WEBHOOK_URL`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEndpoint {
    pub enabled: bool,
    /// Scheme, host and port of the endpoint; its path may be a secret.
    pub endpoint: Option<String>,
    pub actor: Option<String>,
    pub why: Option<String>,
    pub since: Option<DateTime<Utc>>,
}

pub async fn endpoint(conn: &mut PgConnection) -> Result<WebhookEndpoint, StoreError> {
    let row = sqlx::query_as!(
        WebhookEndpoint,
        r#"
        select (value->>'enabled')::boolean as "enabled!", value->>'endpoint' as endpoint, value->>'actor' as actor,
               value->>'why' as why, (value->>'since')::timestamptz as since
          from settings where name = 'events'
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.unwrap_or_default())
}

/// Records the endpoint of a worker: from now on events are delivered to it. An endpoint that was turned off stays off until
/// an operator turns it on or another one takes its place. Returns whether anything changed.
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
        json!({ "enabled": true, "endpoint": endpoint, "fingerprint": fingerprint, "actor": "worker",
                "why": "WEBHOOK_URL names it", "since": now }),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Turns the delivery of events on or off. Returns whether there is an endpoint to turn.
pub async fn switch_endpoint(
    conn: &mut PgConnection,
    enabled: bool,
    actor: &str,
    why: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update settings set value = value || $1, updated_at = clock_timestamp() where name = 'events'",
        json!({ "enabled": enabled, "actor": actor, "why": why, "since": now }),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
