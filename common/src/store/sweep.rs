//! View `work_without_job`: unfinished rows that no job looks after, and the jobs that are made for them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// As many tries as every job of billing has.
const MAX_ATTEMPTS: i32 = <crate::jobs::SendEmail as crate::jobs::Job>::MAX_ATTEMPTS;

/// Makes a job for each piece of work that has had none since before `before`, oldest first. Returns how many it made.
pub async fn make_missing_jobs(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let made = sqlx::query_scalar!(
        r#"
        with made as (
            insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
            select kind, args, about, subject, $1, due_at($1, $1), $2, $1 from work_without_job
             where since < $3 order by since limit $4
            returning 1
        ), announced as (
            select announce('jobs', '') from made having count(*) > 0
        )
        select (select count(*) from made) + 0 * (select count(*) from announced) as "made!"
        "#,
        now,
        MAX_ATTEMPTS,
        before,
        limit,
    )
    .fetch_one(conn)
    .await?;
    Ok(made)
}

/// Makes the job of the next outgoing event of a subscription where the event has none. Returns how many it made.
pub async fn make_delivery_job(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let made = sqlx::query_scalar!(
        r#"
        with made as (
            insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
            select kind, args, about, subject, $1, due_at($1, $1), $2, $1 from work_without_job
             where kind = 'deliver-event' and subscription_id = $3 limit 1
            returning 1
        ), announced as (
            select announce('jobs', 'deliver-event') from made having count(*) > 0
        )
        select (select count(*) from made) + 0 * (select count(*) from announced) as "made!"
        "#,
        now,
        MAX_ATTEMPTS,
        subscription_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(made)
}
