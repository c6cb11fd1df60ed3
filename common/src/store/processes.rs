//! Which processes are alive, and how far each has followed the test clock. Judged by the database's own clock.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Says that this process is alive and has followed the clock up to `clock_move`.
pub async fn report(
    conn: &mut PgConnection,
    id: Uuid,
    name: &str,
    clock_move: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into processes (id, name, clock_move) values ($1, $2, $3)
        on conflict (id) do update set clock_move = excluded.clock_move, seen_at = clock_timestamp()
        "#,
        id,
        name,
        clock_move,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The process has ended in good order.
pub async fn leave(conn: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("delete from processes where id = $1 or seen_at < clock_timestamp() - interval '1 day'", id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The processes seen within the last three seconds that have not followed the clock up to `clock_move`.
pub async fn behind(conn: &mut PgConnection, clock_move: i64) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select name from processes
         where clock_move < $1 and seen_at > clock_timestamp() - interval '3 seconds' order by name
        "#,
        clock_move,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// The processes seen within the last three seconds: those that follow the test clock.
pub async fn alive(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query!(
        "select name from processes where seen_at > clock_timestamp() - interval '3 seconds' order by name"
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
