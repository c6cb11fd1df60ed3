//! Puts a waiting try off to a later time, on an operator's word. No try is spent.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::{QueueError, storable};

/// Has a waiting try run not before `until`. Use it inside a transaction.
pub async fn postpone(
    conn: &mut PgConnection,
    id: i64,
    until: DateTime<Utc>,
    note: &str,
) -> Result<(), QueueError> {
    let row = sqlx::query!(
        r#"
        with current as (select id, state from jobs where id = $1 for update),
        moved as (
            update jobs set run_at = $2, due_at = $2, note = $3 from current
             where jobs.id = current.id and current.state = 'available' returning jobs.id
        )
        select state, exists (select from moved) as "is_moved!" from current
        "#,
        id,
        until,
        storable(note)
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or(QueueError::NotFound(id))?;
    if row.is_moved {
        return Ok(());
    }
    let state = crate::JobState::parse(&row.state)
        .ok_or_else(|| QueueError::UnknownState { id, state: row.state.clone() })?;
    let advice = "only a job that waits can be put off".to_owned();
    Err(QueueError::WrongState { id, state: state.as_str(), advice })
}
