//! How much is waiting, running and stuck, per kind.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

use crate::error::QueueError;

/// One kind's unfinished jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// The kind.
    pub kind: String,
    /// Due and not claimed.
    pub due: i32,
    /// Waiting for a later time.
    pub scheduled: i32,
    /// Leased by a worker.
    pub running: i32,
    /// Waiting for an operator after crashes.
    pub parked: i32,
}

impl Depth {
    pub(crate) fn by_state(&self) -> [(&'static str, f64); 4] {
        [("due", self.due), ("scheduled", self.scheduled), ("running", self.running), ("parked", self.parked)]
            .map(|(state, jobs)| (state, f64::from(jobs)))
    }
}

/// Counts unfinished jobs per kind, by the application's clock, and keeps the figures for [`last_depth`].
pub async fn depth(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Depth>, QueueError> {
    let depths = sqlx::query_as!(
        Depth,
        r#"
        select kind as "kind!",
               (count(*) filter (where state = 'available' and due_at <= $1))::integer as "due!",
               (count(*) filter (where state = 'available' and due_at > $1))::integer as "scheduled!",
               (count(*) filter (where state = 'running'))::integer as "running!",
               (count(*) filter (where state = 'parked'))::integer as "parked!"
        from (select kind, 'available' as state, due_at from jobs where state = 'available'
              union all select kind, state, due_at from jobs where state = 'running'
              union all select kind, state, due_at from jobs
                         where state = 'parked' and (state = 'parked' or (state = 'failed' and next_id is null))
             ) as unfinished
        group by kind order by kind
        "#,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into turns (name, result) values ('queue.depth', $1)
         on conflict (name) do update set result = excluded.result",
        Json(&depths) as _
    )
    .execute(conn)
    .await?;
    Ok(depths)
}

/// The figures that some process last counted.
pub async fn last_depth(conn: &mut PgConnection) -> Result<Vec<Depth>, QueueError> {
    let counted = sqlx::query_scalar!(
        r#"select result as "result: Json<Vec<Depth>>" from turns where name = 'queue.depth'"#
    )
    .fetch_optional(conn)
    .await?;
    Ok(counted.flatten().map(|Json(depths)| depths).unwrap_or_default())
}
