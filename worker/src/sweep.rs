//! Makes jobs for unfinished work that has none, whatever became of its job. `work_without_job` lists that work.

use chrono::{DateTime, TimeDelta, Utc};
use common::queue::JobError;
use common::store::sweep::{Group, Swept};
use common::store::webhooks::WebhookEnd;
use common::store::{gate, sweep, webhook_deliveries, webhooks};
use common::webhook::without_billing_keys;
use uuid::Uuid;

use crate::charge;
use crate::env::{Env, raise_alarm};
use crate::gateway::health;

/// Work that is this old and has no job has lost it. Younger work may get its job in a transaction that is still open.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(2);
/// Rows of unfinished work that one statement looks at: some tens of milliseconds, however many there are.
pub const SLICE: i64 = 2_500;
/// Webhooks that are given up at once.
const BATCH: i64 = 5_000;
/// A webhook that no job could make anything of for this long is put before the operators.
const WEBHOOKS_LIVE_FOR: TimeDelta = TimeDelta::days(3);

/// Looks once. Returns how many jobs it made. One part that fails keeps none of the others from being done.
pub async fn sweep(env: &Env) -> Result<u64, JobError> {
    let now = env.clock.now();
    let given_up = give_up_webhooks(env, now).await;
    let made = remake_jobs(env, now).await;
    let reviewed = review_overdue(env, now).await;
    given_up?;
    reviewed?;
    made
}

/// A kind whose work cannot be read keeps no other from being swept.
async fn remake_jobs(env: &Env, now: DateTime<Utc>) -> Result<u64, JobError> {
    let (mut made, mut failed) = (0_u64, None);
    for group in sweep::GROUPS {
        match remake_group(env, group, now).await {
            Ok(jobs) => made = made.saturating_add(jobs),
            Err(error) => failed = Some(error),
        }
    }
    if made > 0 {
        metrics::counter!("billing_swept_total").increment(made);
        tracing::warn!(made, "the sweep found unfinished work without a job");
    }
    failed.map_or(Ok(made), Err)
}

/// Slice by slice, each in a transaction of its own.
async fn remake_group(env: &Env, group: Group, now: DateTime<Utc>) -> Result<u64, JobError> {
    let (mut after, mut all) = (Uuid::nil(), 0_u64);
    loop {
        let mut conn = env.pool.acquire().await?;
        let Swept { made, until } =
            sweep::make_missing_jobs(&mut conn, group, (after, SLICE), now - LOST_AFTER, now).await?;
        all = all.saturating_add(u64::try_from(made).unwrap_or_default());
        let Some(until) = until else { return Ok(all) };
        after = until;
    }
}

async fn review_overdue(env: &Env, now: DateTime<Utc>) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    charge::outcome::review_overdue(&mut tx, now).await?;
    Ok(tx.commit().await?)
}

/// They are hints: the daily comparison of the books still finds what they hinted at.
async fn give_up_webhooks(env: &Env, now: DateTime<Utc>) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    for webhook in webhooks::abandoned(&mut tx, now - WEBHOOKS_LIVE_FOR, BATCH).await? {
        let body = without_billing_keys(&webhook.body);
        let note = "no job could make anything of it for three days";
        webhooks::settle(&mut tx, (webhook.id, None), WebhookEnd::Failed, note, &body, now).await?;
        raise_alarm("webhook_given_up");
        tracing::error!(webhook.id = %webhook.id, "{note}");
    }
    Ok(tx.commit().await?)
}

/// Says where events go, so that from now on they are kept for it. A copied database says nothing.
pub async fn announce_endpoint(env: &Env) -> Result<(), JobError> {
    let Some(endpoint) = &env.endpoint else { return Ok(()) };
    let mut conn = env.pool.acquire().await?;
    let stand = gate::read(&mut conn).await?;
    if !health::is_bound_here(env, &stand) {
        return Ok(());
    }
    if webhook_deliveries::announce_endpoint(
        &mut conn,
        &endpoint.origin,
        &endpoint.fingerprint,
        env.clock.now(),
    )
    .await?
    {
        tracing::info!(endpoint = endpoint.origin, "events go there from now on");
    }
    Ok(())
}
