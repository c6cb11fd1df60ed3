//! Operators: their roles, and the hashes of their API tokens, passwords and one-time links.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, operator_sessions, operator_totp};
use crate::domain::operator::{Operator, Role};

/// What a login is checked against.
#[derive(Debug, Clone)]
pub struct Login {
    pub operator: Operator,
    /// None: no password has been set yet.
    pub password_hash: Option<String>,
}

/// As operators see each other.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorRow {
    pub id: Uuid,
    pub email: String,
    pub role: String,
    pub has_password: bool,
    pub has_token: bool,
    /// Logs in with a one-time code besides the password.
    pub has_totp: bool,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
}

/// Makes an operator, or gives a known one a new token (the old one ends) and lets a disabled one in again. Without
/// `role` a known operator keeps theirs, and a new one is [`Role::Operator`].
pub async fn put(
    conn: &mut PgConnection,
    id: Uuid,
    email: &str,
    role: Option<Role>,
    token_hash: &[u8],
) -> Result<Operator, StoreError> {
    let role: Option<&str> = role.map(Into::into);
    let operator = sqlx::query_as!(
        Operator,
        r#"
        insert into operators (id, email, role, token_hash) values ($1, $2, coalesce($3::text, 'operator'), $4)
        on conflict (email) do update
           set token_hash = excluded.token_hash, role = coalesce($3::text, operators.role), disabled_at = null
        returning id, email, role as "role: _"
        "#,
        id,
        email,
        role,
        token_hash,
    )
    .fetch_one(conn)
    .await?;
    Ok(operator)
}

/// The id of the operator with this address, also of a disabled one.
pub async fn find_id(conn: &mut PgConnection, email: &str) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!("select id from operators where email = $1", email).fetch_optional(conn).await?)
}

/// Holds the operator's row until the transaction ends. Everybody locks it before the second factor's.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("select id from operators where id = $1 for update", id).fetch_optional(conn).await?;
    Ok(())
}

/// Holds an operator who may log in with the password that was checked, until the transaction ends: nobody disables them
/// or changes the password meanwhile. Answers false where that has happened since.
pub async fn hold_login(
    conn: &mut PgConnection,
    id: Uuid,
    seen_password_hash: &str,
) -> Result<bool, StoreError> {
    let held = sqlx::query_scalar!(
        r#"
        select id from operators where id = $1 and disabled_at is null and password_hash = $2 for share
        "#,
        id,
        seen_password_hash,
    )
    .fetch_optional(conn)
    .await?;
    Ok(held.is_some())
}

/// The operator whose API token has this hash, unless disabled.
pub async fn find_by_token(
    conn: &mut PgConnection,
    token_hash: &[u8],
) -> Result<Option<Operator>, StoreError> {
    let operator = sqlx::query_as!(
        Operator,
        r#"select id, email, role as "role: _" from operators where token_hash = $1 and disabled_at is null"#,
        token_hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(operator)
}

/// The operator with this address and the hash of their password, unless disabled.
pub async fn find_login(conn: &mut PgConnection, email: &str) -> Result<Option<Login>, StoreError> {
    let row = sqlx::query!(
        r#"
        select id, email, role as "role: Role", password_hash from operators where email = $1 and disabled_at is null
        "#,
        email
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Login {
        operator: Operator { id: row.id, email: row.email, role: row.role },
        password_hash: row.password_hash,
    }))
}

/// Gives the operator a one-time link; one before it ends. Answers until when it works, by the database's clock. None:
/// there is no such operator, or they are disabled.
pub async fn put_link(
    conn: &mut PgConnection,
    email: &str,
    link_hash: &[u8],
    hours: i32,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let row = sqlx::query!(
        r#"
        update operators set link_hash = $2, link_expires_at = clock_timestamp() + make_interval(hours => $3)
         where email = $1 and disabled_at is null
        returning link_expires_at as "link_expires_at!"
        "#,
        email,
        link_hash,
        hours,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.link_expires_at))
}

/// The operator whom a one-time link is for, while it works.
pub async fn find_by_link(conn: &mut PgConnection, link_hash: &[u8]) -> Result<Option<Operator>, StoreError> {
    let operator = sqlx::query_as!(
        Operator,
        r#"
        select id, email, role as "role: _" from operators
         where link_hash = $1 and link_expires_at > clock_timestamp() and disabled_at is null
        "#,
        link_hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(operator)
}

/// Sets the password by the one-time link, which ends with it. Of two at once one wins; the other gets none.
pub async fn set_password_by_link(
    conn: &mut PgConnection,
    link_hash: &[u8],
    password_hash: &str,
) -> Result<Option<Operator>, StoreError> {
    let operator = sqlx::query_as!(
        Operator,
        r#"
        update operators set password_hash = $2, link_hash = null, link_expires_at = null
         where link_hash = $1 and link_expires_at > clock_timestamp() and disabled_at is null
        returning id, email, role as "role: _"
        "#,
        link_hash,
        password_hash,
    )
    .fetch_optional(conn)
    .await?;
    Ok(operator)
}

/// Takes everything from the operator that lets them in: token, password, one-time codes, link and sessions. The row stays, because the
/// audit log names it. Answers whether there is such an operator.
pub async fn disable(conn: &mut PgConnection, email: &str) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"
        update operators
           set disabled_at = coalesce(disabled_at, clock_timestamp()), token_hash = null, password_hash = null,
               link_hash = null, link_expires_at = null
         where email = $1
        returning id
        "#,
        email,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(false) };
    operator_totp::delete(conn, row.id).await?;
    operator_sessions::end_all(conn, row.id).await?;
    Ok(true)
}

/// Everybody, by e-mail address.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<OperatorRow>, StoreError> {
    let rows = sqlx::query_as!(
        OperatorRow,
        r#"
        select id, email, role, password_hash is not null as "has_password!", token_hash is not null as "has_token!",
               exists (select 1 from operator_totp where operator_id = operators.id) as "has_totp!",
               created_at, disabled_at,
               (select max(seen_at) from operator_sessions where operator_id = operators.id) as last_seen_at
          from operators order by email
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
