//! Makes the plan changes that follow from new prices: before anybody is asked, told or billed today.

use common::commands::roll_out_price::{Concerned, Part, next_batch, parts, roll_out};
use common::domain::calendar::seoul_date;
use common::domain::price_change::PriceChange;
use common::store::price_changes;
use uuid::Uuid;

use super::batches::{Worked, come_back, work_through};
use crate::env::{Env, Tx};
use crate::error::SettleError;

const WHAT: &str = "roll out a price";

/// Can die after any batch and go on. Answers for how many subscriptions it could not be done because somebody else held
/// their rows.
pub(super) async fn roll_out_prices(env: &Env) -> Result<usize, SettleError> {
    let mut conn = env.pool.acquire().await?;
    let prices = price_changes::to_roll_out(&mut conn).await?;
    drop(conn);
    let mut locked = 0_usize;
    for price in &prices {
        for part in parts(price, seoul_date(env.clock.now())) {
            locked = locked.saturating_add(roll_out_part(env, price, *part).await?);
        }
    }
    Ok(locked)
}

async fn roll_out_part(env: &Env, price: &PriceChange, part: Part) -> Result<usize, SettleError> {
    let (mut last, mut all) = (Uuid::nil(), Worked::default());
    let work = |tx, batch| roll_out_batch(env, tx, (price, part), batch);
    loop {
        let mut conn = env.pool.acquire().await?;
        let batch = next_batch(&mut conn, price, part, last, env.clock.now()).await?;
        drop(conn);
        let Some(end) = batch.last() else { break };
        last = end.subscription_id;
        all.add(work_through(env, WHAT, batch, work).await?);
    }
    come_back(env, WHAT, &mut all, work).await?;
    Ok(all.locked.len())
}

async fn roll_out_batch(
    env: &Env,
    mut tx: Tx,
    (price, part): (&PriceChange, Part),
    batch: Vec<Concerned>,
) -> Result<(Tx, Worked<Concerned>), SettleError> {
    let concerned = batch.len();
    let locked = roll_out(&mut tx, price, part, batch, env.clock.now()).await?;
    Ok((tx, Worked { done: concerned.saturating_sub(locked.len()), locked, failed: 0 }))
}
