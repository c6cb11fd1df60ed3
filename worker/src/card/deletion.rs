//! Deletes a billing key that is no longer used. Safe to repeat: whatever a death leaves behind, it is asked for again.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::jobs::DeleteBillingKey;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::{billing_key_deletions, subscriptions};
use toss::{BillingKey, DeleteOutcome};

use crate::crash;
use crate::env::Env;
use crate::gateway::health;
use crate::gateway::health::{Call, Permit};

/// Asks once; the key is forgotten when the gateway has none of it any more.
pub(crate) async fn delete_billing_key(
    job: DeleteBillingKey,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let (env, lease, job) = (&*env, &lease, &job);
    let mut conn = env.pool.acquire().await?;
    let sealed = billing_key_deletions::sealed(&mut conn, job.deletion_id).await?;
    let Some(sealed) = sealed else {
        return Ok(Ran::Finish(Finish::Discard("the key is deleted".into())));
    };
    let key = env.sealer.open(&sealed, job.subscription_id)?;
    // Whether the gateway may issue one key twice is not documented: one that still charges somebody is left alone.
    let in_use = subscriptions::of_fingerprints(&mut conn, &env.sealer.fingerprints(&key)).await?;
    drop(conn);
    let now = env.clock.now();
    if !in_use.is_empty() {
        return forget(env, lease, job, "the key is in use again: it is not deleted", now).await;
    }
    let caller = match health::check_gateway(env, Call::KEY_DELETION).await? {
        Permit::Later(finish) => return Ok(Ran::Finish(finish)),
        Permit::Go(caller) => caller,
    };
    // The probe is money's: this answer says too little.
    health::give_back(env, caller).await;
    let answer = env.toss.delete_billing_key(&BillingKey::new(key)).await;
    env.rate_limiter.put_off(&env.pool, answer.retry_after()).await;
    crash::point("after_deletion_call");
    let now = env.clock.now();
    let reason = match answer {
        DeleteOutcome::Gone { .. } => {
            return forget(env, lease, job, "the key charges nothing any more", now).await;
        }
        DeleteOutcome::NotSent(reason) => reason.message,
        DeleteOutcome::Unknown(why) => why.message,
    };
    let reason = format!("not known to be deleted, asked for again: {reason}");
    Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + TimeDelta::minutes(10) }))
}

async fn forget(
    env: &Env,
    lease: &Lease,
    job: &DeleteBillingKey,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    let mut tx = env.pool.begin().await?;
    billing_key_deletions::forget(&mut tx, job.deletion_id, now).await?;
    Ok(Ran::Committed(lease.commit(tx, Finish::Done(Some(why.into())), now).await?))
}
