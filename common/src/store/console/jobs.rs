//! Jobs as the console lists them, and everything that was done for one subscription.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::StoreError, Filter};
use crate::id::subscription_ref;

/// One try.
#[derive(Debug, Clone)]
pub struct JobLine {
    pub id: i64,
    pub root_id: i64,
    pub kind: String,
    pub subject: Value,
    pub state: String,
    pub attempt: i32,
    pub max_attempts: i32,
    pub run_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub note: Option<String>,
    pub next_id: Option<i64>,
    pub next_run_at: Option<DateTime<Utc>>,
}

/// Newest first. `attention` as a state: parked, or failed with no next try.
pub async fn list(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<JobLine>, StoreError> {
    let subject = filter.subscription_id.map(subscription_ref);
    let attention = filter.state.as_deref() == Some("attention");
    let state = filter.state.as_deref().filter(|_| !attention);
    let lines = sqlx::query_as!(
        JobLine,
        r#"
        select id, coalesce(root_id, id) as "root_id!", kind, subject, state, attempt, max_attempts, run_at, created_at,
               started_at, finished_at, last_error, note, next_id, next_run_at
          from jobs
         where ($1::text is null or kind = $1)
           and ($2::text is null or state = $2)
           and ($3::text is null or (subject ? 'subscription' and subject->>'subscription' = $3))
           and ($4::text is null or error_group(last_error) = $4)
           and (not $5 or state = 'parked' or (state = 'failed' and next_id is null))
           and ($6::timestamptz is null or created_at >= $6)
           and ($7::timestamptz is null or created_at < $7)
           and ($8::bigint is null or id < $8)
         order by id desc limit $9
        "#,
        filter.kind,
        state,
        subject,
        filter.cause,
        attention,
        filter.since,
        filter.until,
        filter.before_number,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// The latest tries for one subscription, newest first.
pub async fn of_subscription(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    limit: i64,
) -> Result<Vec<JobLine>, StoreError> {
    let filter = Filter { subscription_id: Some(subscription_id), limit, ..Filter::default() };
    list(conn, &filter).await
}
