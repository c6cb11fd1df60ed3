//! Deleting what has been over for long, in small batches.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::error::QueueError;

/// Deletes jobs of which every try ended before `older_than` (application clock), `batch` rows per statement;
/// returns how many rows went. Parked, waiting and running jobs stay with their history. Frees unique keys.
pub async fn prune(pool: &PgPool, older_than: DateTime<Utc>, batch: i64) -> Result<u64, QueueError> {
    let mut pruned = 0;
    loop {
        let rows = sqlx::query!(
            "delete from jobs where id = any(array(
                 select j.id from jobs j
                 where j.finished_at < $1 and not exists (
                     select from jobs o
                     where (o.id = coalesce(j.root_id, j.id) or o.root_id = coalesce(j.root_id, j.id))
                       and (o.finished_at is null or o.finished_at >= $1))
                 order by j.finished_at limit $2 for update skip locked))",
            older_than,
            batch
        )
        .execute(pool)
        .await?
        .rows_affected();
        pruned += rows;
        if rows == 0 {
            return Ok(pruned);
        }
    }
}
