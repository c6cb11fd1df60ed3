//! Whether anybody listens to events, where, and who turned it last.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::StoreError;

/// All none before any worker has had a `WEBHOOK_URL`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    pub listening: bool,
    /// Scheme, host and port of the endpoint; its path may be a secret.
    pub endpoint: Option<String>,
    pub actor: Option<String>,
    pub why: Option<String>,
    pub since: Option<DateTime<Utc>>,
}

pub async fn read(conn: &mut PgConnection) -> Result<Listener, StoreError> {
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
pub async fn announce(
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
pub async fn switch(
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
