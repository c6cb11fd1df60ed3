//! What follows when an event has come to its end or is wanted again: the job of the one that goes next.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    jobs::{self, DeliverEvent, QueueError},
    store::{
        StoreError,
        webhook_deliveries::{self, EventFilter},
    },
};

const BATCH: i64 = 500;

#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Makes the job of every event that is next in its subscription and has none. Answers how many. `of`: only in this
/// subscription; `before`: only of events written up to then.
pub async fn enqueue_next(
    conn: &mut PgConnection,
    of: Option<Uuid>,
    before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<usize, DeliverError> {
    let next = webhook_deliveries::stranded(conn, of, before, BATCH).await?;
    for (event_id, subscription_id) in &next {
        let job = DeliverEvent { event_id: *event_id, subscription_id: *subscription_id };
        jobs::enqueue(conn, &job, now, now).await?;
    }
    Ok(next.len())
}

/// Has a batch of settled events after `after` delivered again, oldest first: the last one's place, and how many; none
/// when there are no more. The caller commits each batch. What it misses of the jobs, the sweep makes.
pub async fn replay_batch(
    conn: &mut PgConnection,
    filter: &EventFilter,
    after: i64,
    now: DateTime<Utc>,
) -> Result<Option<(i64, usize)>, DeliverError> {
    let replayed = webhook_deliveries::replay(conn, filter, after, BATCH).await?;
    if replayed.is_some() {
        enqueue_next(conn, None, None, now).await?;
    }
    Ok(replayed)
}
