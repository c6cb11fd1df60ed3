//! Whoever pays an old price of a plan gets the change to the new one: before anybody is asked, told or billed today.

use common::{
    commands::spread_price::{Next, spread_price},
    queue::JobError,
    store::price_changes,
};
use uuid::Uuid;

use crate::{crash, env::Env};

/// Can die after any batch and go on. With `new_only`, what has gone through all subscriptions once is left to the
/// daily run, which also finds those that have come to an old price since.
pub(crate) async fn spread_prices(env: &Env, new_only: bool) -> Result<(), JobError> {
    let mut conn = env.pool.acquire().await?;
    let prices = price_changes::to_spread(&mut conn, new_only).await?;
    drop(conn);
    for price in prices {
        let mut next = Next::After(Uuid::nil());
        while let Next::After(last) = next {
            let mut tx = env.pool.begin().await?;
            next = spread_price(&mut tx, &price, last, env.clock.now()).await?;
            tx.commit().await?;
            crash::point("after_price_batch");
        }
    }
    Ok(())
}
