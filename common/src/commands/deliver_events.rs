//! Delivers settled outgoing events again, on an operator's request.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::store::{
    StoreError,
    sweep::make_delivery_jobs,
    webhook_deliveries::{self, EventFilter},
};

const BATCH: i64 = 500;

/// Has the next batch of settled events after `after` delivered again, oldest first. Returns the place of the last one and
/// their number, or `None` when there are no more. The caller commits each batch.
pub async fn replay_batch(
    conn: &mut PgConnection,
    filter: &EventFilter,
    after: i64,
    now: DateTime<Utc>,
) -> Result<Option<(i64, usize)>, StoreError> {
    let replayed = webhook_deliveries::replay(conn, filter, after, BATCH).await?;
    if replayed.is_some() {
        // The sweep makes what this batch leaves out.
        make_delivery_jobs(conn, None, BATCH, now).await?;
    }
    Ok(replayed)
}
