//! Before the daily run bills anybody: whose plan, cycle or price changes today gets the new terms, or has ended.

use chrono::NaiveDate;
use common::commands::settle_change::settle_change;
use common::store::{plan_changes, subscriptions};
use uuid::Uuid;

use super::batches::{Worked, come_back, held, work_through};
use crate::crash;
use crate::env::{Env, Tx};
use crate::error::SettleError;

const BATCH: i64 = 500;

/// Can die after any batch and go on: what is settled is not pending any more, and what is pending is not billed. Answers
/// how many could not be settled because somebody else held their rows.
pub(super) async fn settle_changes(env: &Env, date: NaiveDate) -> Result<usize, SettleError> {
    let (mut last, mut all) = (Uuid::nil(), Worked::default());
    loop {
        let mut conn = env.pool.acquire().await?;
        let batch = plan_changes::due_batch(&mut conn, date, last, BATCH).await?;
        drop(conn);
        let Some(end) = batch.last() else { break };
        last = *end;
        all.add(work_through(env, WHAT, batch, |tx, ids| settle_batch(env, tx, ids)).await?);
        crash::point("after_changes_batch");
    }
    come_back(env, WHAT, &mut all, |tx, ids| settle_batch(env, tx, ids)).await?;
    if all.done > 0 {
        tracing::info!(%date, settled = all.done, failed = all.failed, "changes of plan and price settled");
    }
    Ok(all.locked.len())
}

const WHAT: &str = "settle changes of plan and price";

async fn settle_batch(env: &Env, mut tx: Tx, ids: Vec<Uuid>) -> Result<(Tx, Worked<Uuid>), SettleError> {
    let now = env.clock.now();
    let free = subscriptions::lock_free(&mut tx, &ids).await?;
    for id in &free {
        if let Some(subscription) = subscriptions::lock(&mut tx, *id).await? {
            settle_change(&mut tx, &env.brand, subscription, now).await?;
        }
    }
    crash::point("before_changes_commit");
    Ok((tx, Worked { done: free.len(), locked: held(ids, &free), failed: 0 }))
}
