//! Before the daily run bills anybody: whose plan, cycle or price changes today gets the new terms, or has ended.

use chrono::NaiveDate;
use common::{
    commands::settle_change::settle_change,
    queue::JobError,
    store::{plan_changes, subscriptions},
};
use uuid::Uuid;

use crate::{crash, env::Env};

const BATCH: i64 = 500;

/// Can die after any batch and go on: what is settled is not pending any more, and what is pending is not billed.
pub(super) async fn settle_changes(env: &Env, date: NaiveDate) -> Result<(), JobError> {
    let (mut last, mut settled) = (Uuid::nil(), 0_usize);
    loop {
        let now = env.clock.now();
        let mut tx = env.pool.begin().await?;
        let batch = plan_changes::due_batch(&mut tx, date, last, BATCH).await?;
        let Some(end) = batch.last() else { break };
        last = *end;
        for id in &batch {
            if let Some(subscription) = subscriptions::lock(&mut tx, *id).await? {
                settle_change(&mut tx, &env.brand, subscription, now).await?;
            }
        }
        crash::point("before_changes_commit");
        tx.commit().await?;
        crash::point("after_changes_batch");
        settled = settled.saturating_add(batch.len());
    }
    if settled > 0 {
        tracing::info!(%date, settled, "changes of plan and price settled");
    }
    Ok(())
}
