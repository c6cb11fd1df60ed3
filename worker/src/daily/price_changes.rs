//! Makes the plan changes that follow from new prices: before anybody is asked, told or billed today.

use common::{
    commands::roll_out_price::{Next, roll_out_price},
    queue::JobError,
    store::price_changes,
};
use uuid::Uuid;

use crate::env::Env;

/// Can die after any batch and go on.
pub(crate) async fn roll_out_prices(env: &Env) -> Result<(), JobError> {
    let mut conn = env.pool.acquire().await?;
    let prices = price_changes::to_roll_out(&mut conn).await?;
    drop(conn);
    for price in prices {
        let mut next = Next::After(Uuid::nil());
        while let Next::After(last) = next {
            let mut tx = env.pool.begin().await?;
            next = roll_out_price(&mut tx, &price, last, env.clock.now()).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}
