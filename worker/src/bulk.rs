//! Works off a bulk action, one item per transaction, at the rate limit where the items lead to calls to the gateway.

use apalis::prelude::Data;
use common::commands::bulk::{BulkStep, do_next_item};
use common::domain::bulk::BulkAction;
use common::jobs::RunBulkAction;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::bulk_actions;
use common::store::gate::Lane;

use crate::env::Env;

/// Can die after any item and go on: an item is settled in the transaction that does it.
#[tracing::instrument(name = "job.run_bulk_action", skip_all, fields(bulk.id = %job.bulk_id))]
pub(crate) async fn run_bulk_action(
    job: RunBulkAction,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let mut conn = env.pool.acquire().await?;
    let bulk = bulk_actions::find(&mut conn, job.bulk_id).await?;
    let actor = bulk_actions::actor_of(&mut conn, job.bulk_id).await?;
    drop(conn);
    let (Some(bulk), Some(actor)) = (bulk, actor) else {
        return Ok(Ran::Finish(Finish::Discard("the bulk action does not exist".into())));
    };
    let is_limited = bulk.action.parse().is_ok_and(BulkAction::calls_gateway);
    loop {
        if is_limited {
            env.rate_limiter.acquire(&env.pool, Lane::LookUp).await?;
        }
        let mut tx = env.pool.begin().await?;
        let step = do_next_item(&mut tx, &env.brand, (&bulk, &actor), env.clock.now()).await?;
        if step == BulkStep::Over {
            tx.rollback().await?;
            break;
        }
        tx.commit().await?;
    }
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    bulk_actions::finish(&mut tx, bulk.id, now).await?;
    let ended = bulk_actions::find(&mut tx, bulk.id).await?.unwrap_or(bulk);
    let note = format!("{}: {} of {} done, {} skipped", ended.state, ended.done, ended.total, ended.skipped);
    Ok(Ran::Committed(lease.commit(tx, Finish::Done(Some(note)), now).await?))
}
