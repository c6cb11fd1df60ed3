//! What operators switch while everything runs: charging as a whole, and the test clock.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::StoreError;
use crate::clock::ClockKind;

/// Holds a setting's row until the transaction ends. One that nobody has written yet has none.
pub async fn lock(conn: &mut PgConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query!("select name from settings where name = $1 for update", name).fetch_optional(conn).await?;
    Ok(())
}

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

/// The clock that the database was born on. A test clock is ahead of the machine's by its offset, after so many moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseClock {
    pub kind: ClockKind,
    pub offset_ms: i64,
    pub moves: i64,
}

/// A database without a clock of its own yet runs on the machine's.
const UNDECIDED: DatabaseClock = DatabaseClock { kind: ClockKind::System, offset_ms: 0, moves: 0 };

/// Reads the clock.
pub async fn clock(conn: &mut PgConnection) -> Result<DatabaseClock, StoreError> {
    let row = sqlx::query!(
        r#"
        select value->>'kind' as "kind!: ClockKind", (value->>'offsetMs')::bigint as "offset_ms!",
               (value->>'moves')::bigint as "moves!"
          from settings where name = 'clock'
        "#
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(UNDECIDED) };
    Ok(DatabaseClock { kind: row.kind, offset_ms: row.offset_ms, moves: row.moves })
}

/// Reads the clock, which is of this kind from here on where nobody has decided it before. Nobody else joins or moves it
/// until the caller's transaction ends.
pub async fn join_clock(conn: &mut PgConnection, kind: ClockKind) -> Result<DatabaseClock, StoreError> {
    let row = sqlx::query!(
        r#"
        insert into settings (name, value) values ('clock', $1)
        on conflict (name) do update set name = excluded.name
        returning value->>'kind' as "kind!: ClockKind", (value->>'offsetMs')::bigint as "offset_ms!",
                  (value->>'moves')::bigint as "moves!"
        "#,
        json!({ "kind": <&str>::from(kind), "offsetMs": 0, "moves": 0 }),
    )
    .fetch_one(conn)
    .await?;
    Ok(DatabaseClock { kind: row.kind, offset_ms: row.offset_ms, moves: row.moves })
}

/// Moves the test clock forward by this much, for all processes. Returns where it is then.
pub async fn move_clock(conn: &mut PgConnection, by_ms: i64) -> Result<DatabaseClock, StoreError> {
    let row = sqlx::query!(
        r#"
        update settings
           set value = value || jsonb_build_object('offsetMs', (value->>'offsetMs')::bigint + $1::bigint,
                                                   'moves', (value->>'moves')::bigint + 1),
               updated_at = clock_timestamp()
         where name = 'clock' and value->>'kind' = 'test'
        returning (value->>'offsetMs')::bigint as "offset_ms!", (value->>'moves')::bigint as "moves!"
        "#,
        by_ms,
    )
    .fetch_one(conn)
    .await?;
    Ok(DatabaseClock { kind: ClockKind::Test, offset_ms: row.offset_ms, moves: row.moves })
}
