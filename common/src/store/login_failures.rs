//! Failed logins of the console, per account and per address. All times are the database's.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::operator::LoginFailures;

/// The failures of one account or address, its row held by the caller's transaction; and the database's time.
pub async fn lock(
    conn: &mut PgConnection,
    subject: &str,
) -> Result<(LoginFailures, DateTime<Utc>), StoreError> {
    let row = sqlx::query!(
        r#"
        insert into operator_login_failures (subject) values ($1)
        on conflict (subject) do update set subject = excluded.subject
        returning failures, last_failed_at, locked_until, clock_timestamp() as "now!"
        "#,
        subject,
    )
    .fetch_one(conn)
    .await?;
    let failures = LoginFailures {
        failures: row.failures,
        last_failed_at: row.last_failed_at,
        locked_until: row.locked_until,
    };
    Ok((failures, row.now))
}

pub async fn write(
    conn: &mut PgConnection,
    subject: &str,
    failures: &LoginFailures,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update operator_login_failures set failures = $2, last_failed_at = $3, locked_until = $4 where subject = $1
        "#,
        subject,
        failures.failures,
        failures.last_failed_at,
        failures.locked_until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets an account's or an address's failures.
pub async fn forget(conn: &mut PgConnection, subject: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from operator_login_failures where subject = $1", subject).execute(conn).await?;
    Ok(())
}

/// Deletes failures that no longer count. Anybody who knocks makes rows. Returns how many.
pub async fn delete_expired(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from operator_login_failures where last_failed_at < clock_timestamp() - interval '2 days'"
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
