//! What operators switch while everything runs: charging as a whole, and the test clock.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::StoreError;

/// Whether new charges may be made at all.
pub async fn charging_enabled(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"select coalesce((select (value->>'enabled')::bool from settings where name = 'charging'), true) as "enabled!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(row.enabled)
}

/// The kill switch over all charges, and who turned it last: nobody has yet where the rest is none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSwitch {
    pub enabled: bool,
    pub actor: Option<String>,
    pub why: Option<String>,
    pub since: Option<DateTime<Utc>>,
}

pub async fn charging_switch(conn: &mut PgConnection) -> Result<ChargingSwitch, StoreError> {
    let row = sqlx::query_as!(
        ChargingSwitch,
        r#"
        select (value->>'enabled')::bool as "enabled!", value->>'actor' as actor, value->>'why' as why,
               (value->>'since')::timestamptz as since
          from settings where name = 'charging'
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.unwrap_or(ChargingSwitch { enabled: true, actor: None, why: None, since: None }))
}

/// Turns charging as a whole on or off, and keeps who did it and why.
pub async fn switch_charging(
    conn: &mut PgConnection,
    enabled: bool,
    actor: &str,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into settings (name, value) values ('charging', $1)
        on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp()
        "#,
        json!({ "enabled": enabled, "actor": actor, "why": why, "since": now }),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where the shared test clock stands: ahead of the machine's by this much, after this many moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockMove {
    pub offset_ms: i64,
    pub moves: i64,
}

pub async fn clock(conn: &mut PgConnection) -> Result<ClockMove, StoreError> {
    let row = sqlx::query!(
        r#"
        select (value->>'offsetMs')::bigint as "offset_ms!", (value->>'moves')::bigint as "moves!"
          from settings where name = 'test_clock'
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or_else(ClockMove::default, |row| ClockMove { offset_ms: row.offset_ms, moves: row.moves }))
}

/// Moves the test clock forward by this much, for all processes. Answers where it stands then.
pub async fn move_clock(conn: &mut PgConnection, by_ms: i64) -> Result<ClockMove, StoreError> {
    let row = sqlx::query!(
        r#"
        insert into settings (name, value)
        values ('test_clock', jsonb_build_object('offsetMs', $1::bigint, 'moves', 1))
        on conflict (name) do update
           set value = jsonb_build_object('offsetMs', (settings.value->>'offsetMs')::bigint + $1::bigint,
                                          'moves', (settings.value->>'moves')::bigint + 1),
               updated_at = clock_timestamp()
        returning (value->>'offsetMs')::bigint as "offset_ms!", (value->>'moves')::bigint as "moves!"
        "#,
        by_ms,
    )
    .fetch_one(conn)
    .await?;
    Ok(ClockMove { offset_ms: row.offset_ms, moves: row.moves })
}

/// As [`clock`], but nobody else moves it until the caller's transaction ends.
pub async fn lock_clock(conn: &mut PgConnection) -> Result<ClockMove, StoreError> {
    let row = sqlx::query!(
        r#"
        insert into settings (name, value) values ('test_clock', '{"offsetMs": 0, "moves": 0}')
        on conflict (name) do update set name = excluded.name
        returning (value->>'offsetMs')::bigint as "offset_ms!", (value->>'moves')::bigint as "moves!"
        "#
    )
    .fetch_one(conn)
    .await?;
    Ok(ClockMove { offset_ms: row.offset_ms, moves: row.moves })
}
