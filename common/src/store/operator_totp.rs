//! The second factor of operators: sealed secrets, the last used step, and hashes of recovery codes. Times are the database's.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// An operator's second factor.
#[derive(Debug, Clone)]
pub struct Totp {
    /// As [`crate::seal::Sealer::seal_totp`] wrote it.
    pub sealed: String,
    pub last_step: i64,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// None: the operator logs in with the password alone.
pub async fn find(conn: &mut PgConnection, operator_id: Uuid) -> Result<Option<Totp>, StoreError> {
    let totp = sqlx::query_as!(
        Totp,
        r#"
        select secret as sealed, last_step, clock_timestamp() as "now!" from operator_totp where operator_id = $1
        "#,
        operator_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(totp)
}

/// The database's time, by which codes are checked.
pub async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(conn).await?)
}

/// Stores a second factor. Answers whether there was none before; one that is on is never replaced.
pub async fn insert(
    conn: &mut PgConnection,
    operator_id: Uuid,
    sealed: &str,
    last_step: i64,
    recovery_hashes: &[Vec<u8>],
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        r#"
        with totp as (
            insert into operator_totp (operator_id, secret, last_step) values ($1, $2, $3)
            on conflict (operator_id) do nothing returning operator_id)
        insert into operator_recovery_codes (operator_id, code_hash)
        select operator_id, code_hash from totp, unnest($4::bytea[]) code_hash
        "#,
        operator_id,
        sealed,
        last_step,
        recovery_hashes,
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Takes a step's code. Answers false where it, or a later one, was taken before: of two logins with one code one wins.
pub async fn use_step(conn: &mut PgConnection, operator_id: Uuid, step: i64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update operator_totp set last_step = $2 where operator_id = $1 and last_step < $2",
        operator_id,
        step,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a recovery code. Answers false where there is none with this hash that is unused.
pub async fn use_recovery_code(
    conn: &mut PgConnection,
    operator_id: Uuid,
    code_hash: &[u8],
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        update operator_recovery_codes set used_at = clock_timestamp()
         where operator_id = $1 and code_hash = $2 and used_at is null
        "#,
        operator_id,
        code_hash,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn unused_recovery_codes(conn: &mut PgConnection, operator_id: Uuid) -> Result<i64, StoreError> {
    let left = sqlx::query_scalar!(
        r#"
        select count(*) as "left!" from operator_recovery_codes where operator_id = $1 and used_at is null
        "#,
        operator_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(left)
}

/// Takes the second factor and its recovery codes away. Answers whether there was one.
pub async fn delete(conn: &mut PgConnection, operator_id: Uuid) -> Result<bool, StoreError> {
    let done =
        sqlx::query!("delete from operator_totp where operator_id = $1", operator_id).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}
