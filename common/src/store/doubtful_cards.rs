//! Cards that the gateway is said to have given up: suspected, never thrown away, and cleared by the next answer.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// The subscriptions whose sealed billing key ends in one of these fingerprints.
pub async fn of_fingerprints(
    conn: &mut PgConnection,
    fingerprints: &[String],
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "select id from subscriptions where billing_key_fingerprint = any($1) order by id",
        fingerprints
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Marks the card for replacement if it still is the one with such a fingerprint. Answers whether that is news.
pub async fn suspect(
    conn: &mut PgConnection,
    id: Uuid,
    fingerprints: &[String],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        update subscriptions set card_suspect_since = $3, updated_at = $3
         where id = $1 and billing_key_fingerprint = any($2) and card_suspect_since is null
        "#,
        id,
        fingerprints,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The card has just been charged: it is in order. Nothing is written where nobody doubted it.
pub async fn trust(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update subscriptions set card_suspect_since = null, updated_at = $2
         where id = $1 and card_suspect_since is not null
        "#,
        id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
