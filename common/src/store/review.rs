//! Attempts that nobody could settle in time: a person has to look.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};

/// A person has to look at it from now on.
pub async fn put(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update payments set review_since = coalesce(review_since, $2) where id = $1 and status = 'unknown'",
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("put a payment in review", &done)
}

/// The attempt of this invoice that has been unknown since `before`, unless a person has it: now one has. Answers its id.
pub async fn put_overdue(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"
        update payments set review_since = $3
         where invoice_id = $1 and status = 'unknown' and review_since is null and unknown_since <= $2
        returning id
        "#,
        invoice_id,
        before,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}
