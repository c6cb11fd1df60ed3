//! Ends a subscription whose first payment was not made in time: nothing is charged, nothing is owed, the customer is told.
//!
//! One transaction under the subscription's lock: a death leaves it incomplete and the job, or the sweep, comes again.

use apalis::prelude::Data;
use chrono::TimeDelta;
use common::commands::cancel::close_invoices;
use common::domain::incomplete::{AtDeadline, at_deadline};
use common::jobs::EndIncompleteSubscription;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::events::Entry;
use common::store::{events, invoices, payments, subscriptions};

use crate::{env::Env, notifications};

/// Money may be on its way: asked again this much later.
const IN_FLIGHT: TimeDelta = TimeDelta::minutes(10);

pub(crate) async fn end_incomplete_subscription(
    job: EndIncompleteSubscription,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let Some(subscription) = subscriptions::lock(&mut tx, job.subscription_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the subscription does not exist".into())));
    };
    let mut attempts = Vec::new();
    for invoice in invoices::unsettled_of(&mut tx, subscription.id).await? {
        attempts.extend(payments::of_invoice(&mut tx, invoice.id).await?);
    }
    match at_deadline(&subscription, &attempts, now) {
        AtDeadline::Nothing => Ok(Ran::Finish(Finish::Discard("it began, or was canceled".into()))),
        AtDeadline::NotYet(run_at) => {
            let reason = "another card may still pay".into();
            Ok(Ran::Finish(Finish::Snooze { reason, run_at }))
        }
        AtDeadline::InFlight => {
            let reason = "a charge is in flight: its answer decides".into();
            Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + IN_FLIGHT }))
        }
        AtDeadline::End => {
            let why = "the first payment was not made in time";
            subscriptions::cancel(&mut tx, subscription.id, why, now).await?;
            close_invoices(&mut tx, subscription.id, now).await?;
            let entry = Entry { actor: "worker", what: "subscription.never_began", why };
            events::append(&mut tx, &subscription, entry, now).await?;
            notifications::tell_not_begun(&env, &mut tx, &subscription, now).await?;
            let finish = Finish::Done(Some("not paid in time: it ended without having begun".into()));
            Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
        }
    }
}
