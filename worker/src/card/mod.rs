//! A new card, step by step: issue its key, seal it in a commit of its own, prove it where something is open, replace.
//!
//! What a death leaves behind, line by line: before the intent's commit, a registration that was not sent; until the
//! key's commit, one that looks sent, and the same request under the same key brings the same answer (there is no other
//! way to it); after the key's commit, an issued key, which is applied; while it is proven, an attempt like any other,
//! which is looked up before anything else moves money. The old key stays in force until the commit that replaces it,
//! and that commit hands the old one over for deletion.
//!
//! A decline of the new card leaves the old card and the dunning schedule as they were: it is on record, but no step.

use apalis::prelude::Data;
use common::domain::registration::{Registration, RegistrationStatus};
use common::id::subscription_ref;
use common::jobs::IssueBillingKey;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::{payments, registrations, subscriptions};

use self::apply::apply;
use self::replacement::give_up;
use crate::charge;
use crate::env::Env;
use crate::error::SettleError;
use crate::gateway::health;
use crate::gateway::health::Call;

mod amount_due;
mod apply;
pub(crate) mod deletion;
mod issue;
pub(crate) mod replacement;

/// Moves one registration on by at most one call for its key and one for money.
#[tracing::instrument(name = "card.issue_billing_key", skip_all,
    fields(subscription.id = %subscription_ref(job.subscription_id), registration.id = %job.registration_id))]
pub(crate) async fn issue_billing_key(
    job: IssueBillingKey,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let (env, lease) = (&*env, &lease);
    let mut conn = env.pool.acquire().await?;
    let found = registrations::find(&mut conn, job.registration_id).await?;
    drop(conn);
    let Some(found) = found else {
        return Ok(Ran::Finish(Finish::Discard("the registration does not exist".into())));
    };
    match found.status {
        RegistrationStatus::Applied | RegistrationStatus::Refused | RegistrationStatus::Dropped => {
            Ok(Ran::Finish(Finish::Discard("the registration is settled".into())))
        }
        RegistrationStatus::Verifying => go_on_verifying(env, lease, &found).await,
        RegistrationStatus::Pending | RegistrationStatus::Unknown => {
            let permit = health::check_gateway(env, Call::CARD).await?;
            health::when_permitted(env, permit, |caller| issue::issue(env, lease, &found, caller)).await
        }
        RegistrationStatus::Issued => apply(env, lease, &found).await,
    }
}

async fn go_on_verifying(env: &Env, lease: &Lease, found: &Registration) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    subscriptions::lock(&mut tx, found.subscription_id).await?;
    let card = registrations::lock(&mut tx, found.id).await?.ok_or(SettleError::Vanished)?;
    let (RegistrationStatus::Verifying, Some(payment_id)) = (card.status, card.payment_id) else {
        return Ok(Ran::Finish(Finish::Done(Some("settled meanwhile by another worker".into()))));
    };
    let attempt = payments::find(&mut tx, payment_id).await?.ok_or(SettleError::Vanished)?;
    if attempt.is_unfinished() {
        drop(tx);
        return charge::advance(env, lease, Call::CHARGE, found.subscription_id, attempt.invoice_id).await;
    }
    // A cancel withdrew the attempt before it was sent.
    give_up(&mut tx, &card, RegistrationStatus::Dropped, None, now).await?;
    let finish = Finish::Done(Some("the charge was withdrawn; the new key is deleted".into()));
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}
