//! Users need not exist beforehand: the first authenticated request makes them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// A customer's address and name as they are now; `None` where none was given, or where they were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub email: Option<String>,
    pub name: Option<String>,
}

/// Makes the user if there is none, and keeps the newest e-mail address and name that came with a request.
pub async fn ensure(
    conn: &mut PgConnection,
    id: Uuid,
    email: Option<&str>,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into users (id, email, name, created_at, updated_at) values ($1, $2, $3, $4, $4)
        on conflict (id) do update
           set email = coalesce(excluded.email, users.email),
               name = coalesce(excluded.name, users.name),
               updated_at = excluded.updated_at
        "#,
        id,
        email,
        name,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes the user if there is none. Writes nothing for a known one.
pub async fn make_if_missing(
    conn: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into users (id, created_at, updated_at) values ($1, $2, $2) on conflict (id) do nothing",
        id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads a user's address and name, and holds the row.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Customer>, StoreError> {
    let customer =
        sqlx::query_as!(Customer, "select email, name from users where id = $1 for no key update", id)
            .fetch_optional(conn)
            .await?;
    Ok(customer)
}
