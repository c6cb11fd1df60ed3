//! When the payment that a webhook names may be read back from the gateway, and how far that has come.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};

/// What an event about a payment may have read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// It may be read back now. This instant belongs to it.
    Now(DateTime<Utc>),
    /// It was read back and followed up after the event came: the event has nothing to add.
    Covered,
    /// It was read back a moment ago; not again before this instant.
    NotBefore(DateTime<Utc>),
}

/// Claims the read-back of a payment for an event that came at `received_at`: at most one within `pause`, whoever sends events.
pub async fn claim_read_back(
    conn: &mut PgConnection,
    id: Uuid,
    received_at: DateTime<Utc>,
    pause: TimeDelta,
    now: DateTime<Utc>,
) -> Result<ReadBack, StoreError> {
    let claimed = sqlx::query!(
        r#"
        update payments set read_back_at = $2
         where id = $1 and (read_back_at is null or read_back_at <= $3)
           and (followed_up_at is null or followed_up_at < $4)
        "#,
        id,
        now,
        now - pause,
        received_at,
    )
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(ReadBack::Now(now));
    }
    let row = sqlx::query!("select read_back_at, followed_up_at from payments where id = $1", id)
        .fetch_one(conn)
        .await?;
    if row.followed_up_at.is_some_and(|at| at >= received_at) {
        return Ok(ReadBack::Covered);
    }
    Ok(ReadBack::NotBefore(row.read_back_at.unwrap_or(now) + pause))
}

/// What was read back at this instant has been followed up to its end: events that came before it have nothing to add.
pub async fn mark_followed_up(
    conn: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update payments set followed_up_at = greatest(followed_up_at, $2) where id = $1",
        id,
        at
    )
    .execute(conn)
    .await?;
    one_row("mark a payment followed up", &done)
}
