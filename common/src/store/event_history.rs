//! What operators see of the outbox of webhooks, and which events they have delivered again.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

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
