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

/// Attempts that have had no outcome since `before` and that no person has: now one has. Answers their ids.
pub async fn put_overdue(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        update payments
           set review_since = $2, status = 'unknown', unknown_since = coalesce(unknown_since, sent_at)
         where id in (select id from payments
                       where status in ('pending', 'unknown') and review_since is null and sent_at is not null
                         and coalesce(unknown_since, sent_at) <= $1
                       order by created_at limit 1000
                         for update skip locked)
        returning id
        "#,
        before,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
