//! Logins of the console. All times are the database's: a test clock that jumps a month logs nobody out.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::operator::{Operator, Role};

/// A session that has neither ended, nor been idle for 30 minutes, nor lasted 12 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    pub id: Uuid,
    pub operator: Operator,
}

/// As its operator sees it in the settings.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: Uuid,
    pub email: String,
    pub created_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// A login that was accepted.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    pub id: Uuid,
    pub operator_id: Uuid,
    pub token_hash: &'a [u8],
    pub address: Option<&'a str>,
    pub user_agent: Option<&'a str>,
}

pub async fn open(conn: &mut PgConnection, new: NewSession<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into operator_sessions (id, operator_id, token_hash, address, user_agent)
        values ($1, $2, $3, $4, $5)
        "#,
        new.id,
        new.operator_id,
        new.token_hash,
        new.address,
        new.user_agent,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The live session of this token. With `is_use` it counts as seen now, once a minute; a page that refreshes its numbers
/// by itself is no use.
pub async fn find(
    conn: &mut PgConnection,
    token_hash: &[u8],
    is_use: bool,
) -> Result<Option<LiveSession>, StoreError> {
    let row = sqlx::query!(
        r#"
        select session.id, session.seen_at < clock_timestamp() - interval '1 minute' as "is_stale!",
               operator.id as operator_id, operator.email, operator.role as "role: Role"
          from operator_sessions session join operators operator on operator.id = session.operator_id
         where session.token_hash = $1 and session.ended_at is null and operator.disabled_at is null
           and session.seen_at > clock_timestamp() - interval '30 minutes'
           and session.created_at > clock_timestamp() - interval '12 hours'
        "#,
        token_hash,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if is_use && row.is_stale {
        sqlx::query!("update operator_sessions set seen_at = clock_timestamp() where id = $1", row.id)
            .execute(conn)
            .await?;
    }
    let operator = Operator { id: row.operator_id, email: row.email, role: row.role };
    Ok(Some(LiveSession { id: row.id, operator }))
}

/// The live sessions of one operator, or of everybody, newest first.
pub async fn list(conn: &mut PgConnection, operator_id: Option<Uuid>) -> Result<Vec<SessionRow>, StoreError> {
    let rows = sqlx::query_as!(
        SessionRow,
        r#"
        select session.id, operator.email, session.created_at, session.seen_at, session.address, session.user_agent
          from operator_sessions session join operators operator on operator.id = session.operator_id
         where ($1::uuid is null or session.operator_id = $1) and session.ended_at is null
           and session.seen_at > clock_timestamp() - interval '30 minutes'
           and session.created_at > clock_timestamp() - interval '12 hours'
         order by session.created_at desc, session.id desc limit 200
        "#,
        operator_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Ends a session; with `operator_id` only one of that operator. Answers whether there was one to end.
pub async fn end(conn: &mut PgConnection, id: Uuid, operator_id: Option<Uuid>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        update operator_sessions set ended_at = clock_timestamp()
         where id = $1 and ended_at is null and ($2::uuid is null or operator_id = $2)
        "#,
        id,
        operator_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends every session of an operator. Returns how many there were.
pub async fn end_all(conn: &mut PgConnection, operator_id: Uuid) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update operator_sessions set ended_at = clock_timestamp() where operator_id = $1 and ended_at is null",
        operator_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes sessions that nobody has used for 90 days, long after they ended. Returns how many.
pub async fn delete_expired(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let done =
        sqlx::query!("delete from operator_sessions where seen_at < clock_timestamp() - interval '90 days'")
            .execute(conn)
            .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::store::login_failures;

    #[sqlx::test(migrations = "../migrations")]
    async fn old_sessions_and_failed_logins_are_deleted(pool: PgPool) {
        let mut conn = pool.acquire().await.unwrap();
        for sql in [
            "insert into operators (id, email) values (gen_random_uuid(), 'kim@example.com')",
            "insert into operator_sessions (id, operator_id, token_hash, seen_at)
             select gen_random_uuid(), id, convert_to(days::text, 'UTF8'), clock_timestamp() - days * interval '1 day'
               from operators, unnest(array[1, 91]) days",
            "insert into operator_login_failures (subject, last_failed_at)
             select 'address:' || days, clock_timestamp() - days * interval '1 day' from unnest(array[1, 3]) days",
        ] {
            sqlx::query(sql).execute(&mut *conn).await.unwrap();
        }
        assert_eq!(delete_expired(&mut conn).await.unwrap(), 1);
        assert_eq!(login_failures::delete_expired(&mut conn).await.unwrap(), 1);
        assert_eq!(delete_expired(&mut conn).await.unwrap(), 0);
    }
}
