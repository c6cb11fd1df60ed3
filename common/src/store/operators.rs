//! Operators and the hashes of their tokens.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Makes an operator, or gives a known one a new token (the old one ends).
pub async fn put(
    conn: &mut PgConnection,
    id: Uuid,
    email: &str,
    token_hash: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into operators (id, email, token_hash) values ($1, $2, $3)
        on conflict (email) do update set token_hash = excluded.token_hash
        "#,
        id,
        email,
        token_hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The e-mail address of the operator whose token has this hash.
pub async fn email_of(conn: &mut PgConnection, token_hash: &[u8]) -> Result<Option<String>, StoreError> {
    let row = sqlx::query!("select email from operators where token_hash = $1", token_hash)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.email))
}
