//! Periodic work that one process does for the whole installation.

use std::time::Duration;

use sqlx::PgConnection;

use crate::error::QueueError;

/// Takes the turn of this work if nobody has within `every`, by the database's clock. Only a taker does the work; a taker
/// that dies costs one round.
pub async fn take_turn(conn: &mut PgConnection, name: &str, every: Duration) -> Result<bool, QueueError> {
    let taken = sqlx::query!(
        "insert into turns (name, taken_at) values ($1, clock_timestamp())
         on conflict (name) do update set taken_at = excluded.taken_at
          where turns.taken_at <= excluded.taken_at - make_interval(secs => $2)
             or turns.taken_at > excluded.taken_at + make_interval(secs => $2)",
        name,
        every.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}
