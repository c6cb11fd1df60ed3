//! Asks for the consents that changes to a higher amount still lack: 30 days before, and again 7 days before.

use chrono::NaiveDate;
use common::domain::calendar::{days_after, seoul_midnight};
use common::domain::plan_change::{PlanChange, next_change};
use common::domain::subscription::Subscription;
use common::id::subscription_ref;
use common::outbox::Fact;
use common::store::{plan_changes, plans, subscriptions};
use common::{email, outbox};
use sqlx::PgConnection;
use uuid::Uuid;

use super::batches::{Worked, come_back, held, work_through};
use crate::env::{Env, Tx};
use crate::error::SettleError;

/// From how many days before to how many, and from when on it would be stale.
const STAGES: [(u32, u32); 2] = [(30, 7), (7, 0)];
const BATCH: i64 = 500;

const WHAT: &str = "ask for consents";

/// Once per change and stage, whoever runs it. A change that came up later is asked about in the stage it is in.
pub(super) async fn ask_for_consents(env: &Env, today: NaiveDate) -> Result<Worked<Uuid>, SettleError> {
    let mut all = Worked::default();
    for stage in STAGES {
        let (from, until) = (days_after(today, stage.1)?, days_after(today, stage.0)?);
        let (mut last, mut asked) = (Uuid::nil(), Worked::default());
        let ask = |tx, ids| ask_all(env, tx, ids, (from, until), stage);
        loop {
            let mut conn = env.pool.acquire().await?;
            let batch = plan_changes::unconsented_batch(&mut conn, from, until, last, BATCH).await?;
            drop(conn);
            let Some(end) = batch.last() else { break };
            last = *end;
            asked.add(work_through(env, WHAT, batch, ask).await?);
        }
        come_back(env, WHAT, &mut asked, ask).await?;
        all.add(asked);
    }
    Ok(all)
}

async fn ask_all(
    env: &Env,
    mut tx: Tx,
    ids: Vec<Uuid>,
    (from, until): (NaiveDate, NaiveDate),
    stage: (u32, u32),
) -> Result<(Tx, Worked<Uuid>), SettleError> {
    let free = subscriptions::free_to_refer_to(&mut tx, &ids).await?;
    let mut written = Worked::default();
    for id in &free {
        let Some(subscription) = subscriptions::find(&mut tx, *id).await? else { continue };
        let pending = plan_changes::pending_of(&mut tx, &[*id]).await?;
        let asked = next_change(&pending).filter(|change| {
            !change.is_agreed() && from < change.effective_on && change.effective_on <= until
        });
        if let Some(change) = asked {
            let is_new = ask(env, &mut tx, &subscription, change, stage).await?;
            written.done = written.done.saturating_add(usize::from(is_new));
        }
    }
    written.locked = held(ids, &free);
    Ok((tx, written))
}

async fn ask(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    change: &PlanChange,
    (days_before, stale): (u32, u32),
) -> Result<bool, SettleError> {
    let (old_plan, new_plan) =
        (plans::name_of(conn, &change.from.plan).await?, plans::name_of(conn, &change.to.plan).await?);
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
