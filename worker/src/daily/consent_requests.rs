//! Asks for the consents that changes to a higher amount still lack: 30 days before, and again 7 days before.

use chrono::NaiveDate;
use common::{
    domain::{
        calendar::{days_after, seoul_midnight},
        plan_change::{PlanChange, next_change},
        subscription::Subscription,
    },
    email,
    id::subscription_ref,
    outbox::{self, Fact},
    queue::JobError,
    store::{plan_changes, subscriptions},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{env::Env, notifications};

/// From how many days before to how many, and from when on it would be stale.
const STAGES: [(u32, u32); 2] = [(30, 7), (7, 0)];
const BATCH: i64 = 500;

/// Once per change and stage, whoever runs it. A change that came up later is asked about in the stage it is in.
pub(super) async fn ask_for_consents(env: &Env, today: NaiveDate) -> Result<usize, JobError> {
    let mut written = 0_usize;
    for stage in STAGES {
        let (from, until) = (days_after(today, stage.1)?, days_after(today, stage.0)?);
        let mut last = Uuid::nil();
        loop {
            let mut tx = env.pool.begin().await?;
            let batch = plan_changes::unconsented_batch(&mut tx, from, until, last, BATCH).await?;
            let Some(end) = batch.last() else { break };
            last = *end;
            for id in &batch {
                let Some(subscription) = subscriptions::find(&mut tx, *id).await? else { continue };
                let pending = plan_changes::pending_of(&mut tx, &[*id]).await?;
                let asked = next_change(&pending).filter(|change| {
                    !change.is_agreed() && from < change.effective_on && change.effective_on <= until
                });
                if let Some(change) = asked {
                    written = written
                        .saturating_add(usize::from(ask(env, &mut tx, &subscription, change, stage).await?));
                }
            }
            tx.commit().await?;
        }
    }
    Ok(written)
}

async fn ask(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    change: &PlanChange,
    (days_before, stale): (u32, u32),
) -> Result<bool, JobError> {
    let (old_plan, new_plan) = (
        notifications::plan_name(conn, &change.from.plan).await?,
        notifications::plan_name(conn, &change.to.plan).await?,
    );
    let rendered = email::consent_request(
        &env.brand,
        &email::ConsentRequest {
            customer_name: &subscription.customer_name,
            old_plan: &old_plan,
            old_cycle: change.from.cycle,
            old_amount: change.from.amount,
            new_plan: &new_plan,
            new_cycle: change.to.cycle,
            new_amount: change.to.amount,
            effective_on: change.effective_on,
            is_requested: change.price_change_id.is_none(),
            card_number: subscription.card_number.as_deref(),
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let step = format!("{}-{days_before}", change.id.simple());
    let fact = Fact { kind: "consent_request", period_no: change.effective_no, step: &step };
    let stale_on = change.effective_on.checked_sub_days(chrono::Days::new(stale.into()));
    let before = stale_on.map(seoul_midnight);
    Ok(outbox::post(conn, subscription, fact, &rendered, before, env.clock.now()).await?)
}
