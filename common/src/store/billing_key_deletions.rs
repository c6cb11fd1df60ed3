//! Billing keys that are no longer used: kept sealed until the gateway has deleted them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};

pub async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    subscription_id: Uuid,
    sealed_billing_key: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into billing_key_deletions (id, subscription_id, sealed_billing_key, created_at) values ($1, $2, $3, $4)",
        id,
        subscription_id,
        sealed_billing_key,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The sealed key, or `None` when it is deleted or unknown.
pub async fn sealed(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, StoreError> {
    let row = sqlx::query!("select sealed_billing_key from billing_key_deletions where id = $1", id)
        .fetch_optional(conn)
        .await?;
    Ok(row.and_then(|row| row.sealed_billing_key))
}

/// Wipes a billing key that the gateway has deleted.
pub async fn forget(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update billing_key_deletions set sealed_billing_key = null, deleted_at = coalesce(deleted_at, $2) where id = $1
        "#,
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("mark a billing key as deleted", &done)
}
