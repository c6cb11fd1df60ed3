//! Deletes expired rows: finished jobs, webhooks that were handled or of no interest, sessions and failed logins of the console.

use chrono::TimeDelta;
use common::queue::JobError;
use common::store::{login_failures, operator_sessions, webhooks};

use crate::env::Env;

const KEEP_JOBS_FOR: TimeDelta = TimeDelta::days(90);
/// Toss repeats a webhook for less than four days: until then it is known as a repetition.
const KEEP_WEBHOOKS_FOR: TimeDelta = TimeDelta::days(30);
const BATCH: i64 = 1_000;

/// In batches of their own, so that it can end anywhere.
pub async fn delete_expired(env: &Env) -> Result<(), JobError> {
    let now = env.clock.now();
    let jobs = common::queue::prune(&env.pool, now - KEEP_JOBS_FOR, BATCH).await?;
    let mut webhooks = 0_u64;
    loop {
        let mut conn = env.pool.acquire().await?;
        let gone = webhooks::forget_settled(&mut conn, now - KEEP_WEBHOOKS_FOR, BATCH).await?;
        if gone == 0 {
            break;
        }
        webhooks = webhooks.saturating_add(gone);
    }
    let mut conn = env.pool.acquire().await?;
    let sessions = operator_sessions::delete_expired(&mut conn).await?;
    let logins = login_failures::delete_expired(&mut conn).await?;
    tracing::info!(jobs, webhooks, sessions, logins, "expired rows deleted");
    Ok(())
}
