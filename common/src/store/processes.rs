//! Which processes are there, which clock each follows, and how far. Who is there is judged by the database alone.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::clock::ClockKind;

/// Says that this process is there, which clock it follows, and up to which move.
pub async fn report(
    conn: &mut PgConnection,
    id: Uuid,
    name: &str,
    clock: ClockKind,
    clock_move: i64,
) -> Result<(), StoreError> {
    let clock: &str = clock.into();
    sqlx::query!(
        r#"
        insert into processes (id, name, clock, clock_move) values ($1, $2, $3, $4)
        on conflict (id) do update set clock_move = excluded.clock_move, seen_at = clock_timestamp()
        "#,
        id,
        name,
        clock,
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

/// The processes on the test clock that have not followed it up to `clock_move`.
pub async fn behind(conn: &mut PgConnection, clock_move: i64) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select id as "id!" from present_processes where clock = 'test' and clock_move < $1"#,
        clock_move,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Of these processes, those that have neither followed nor left: they have fallen silent.
pub async fn silent(
    conn: &mut PgConnection,
    ids: &[Uuid],
    clock_move: i64,
) -> Result<Vec<String>, StoreError> {
    let names = sqlx::query_scalar!(
        "select name from processes where id = any ($1) and clock_move < $2 order by name",
        ids,
        clock_move,
    )
    .fetch_all(conn)
    .await?;
    Ok(names)
}

/// The processes that follow this clock.
pub async fn following(conn: &mut PgConnection, clock: ClockKind) -> Result<Vec<String>, StoreError> {
    let clock: &str = clock.into();
    let rows = sqlx::query!(
        r#"select name as "name!" from present_processes where clock = $1 order by name"#,
        clock
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
