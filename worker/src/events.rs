//! Delivers one event of the outbox: at least once, recognisable by its id, never before an earlier one of its subscription.
//!
//! What a death leaves behind: before the call, nothing; from then until the outcome's commit, an event that waits and is
//! sent once more under the same id. The subscription's lock orders its end against the next event being written, so that
//! one of the two makes the next one's job; what is lost all the same, the sweep finds.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::domain::delivery::{GIVE_UP_AFTER, next_try};
use common::id::{event_ref, subscription_ref};
use common::jobs::DeliverEvent;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store;
use common::store::sweep::make_delivery_job;
use common::store::webhook_deliveries::{DeliveryEnd, Waiting};
use common::store::{StoreError, subscriptions, webhook_deliveries};
use sqlx::PgConnection;

use crate::crash;
use crate::endpoint::Told;
use crate::env::{Env, raise_alarm};
use crate::gateway::health;

/// This worker has no `WEBHOOK_URL`, another has: how soon it is looked for again.
const NOT_MINE: TimeDelta = TimeDelta::minutes(1);

#[tracing::instrument(name = "job.deliver_event", skip_all,
    fields(event.id = %event_ref(job.event_id), subscription.id = %subscription_ref(job.subscription_id)))]
pub(crate) async fn deliver_event(job: DeliverEvent, lease: Lease, env: Data<Env>) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut conn = env.pool.acquire().await?;
    let stand = store::gate::read(&mut conn).await?;
    if let Some(finish) = health::bound_elsewhere(&env, &stand, now) {
        return Ok(Ran::Finish(finish));
    }
    let Some(event) = webhook_deliveries::find_waiting(&mut conn, job.event_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the event is settled".into())));
    };
    drop(conn);
    if !event.is_first {
        let why = "an earlier event of the subscription goes first; its end makes this one's job";
        return Ok(Ran::Finish(Finish::Discard(why.into())));
    }
    if !event.is_enabled {
        return record(&env, &lease, &event, None).await;
    }
    let Some(endpoint) = &env.endpoint else {
        let reason = "this worker has no WEBHOOK_URL".into();
        return Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + NOT_MINE }));
    };
    let told = endpoint.tell(&event, Clock::System.now()).await;
    crash::point("after_event");
    record(&env, &lease, &event, Some(told)).await
}

/// `told`: `None` where it was not sent, because delivery is off.
async fn record(env: &Env, lease: &Lease, event: &Waiting, told: Option<Told>) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    subscriptions::lock(&mut tx, event.subscription_id).await?;
    let finish = match told {
        None => {
            webhook_deliveries::withdraw(&mut tx, event.id).await?;
            make_delivery_job(&mut tx, event.subscription_id, now).await?;
            Finish::Discard("delivery is off: the event is kept and can be replayed".into())
        }
        Some(Told::Taken(status)) => {
            end(&mut tx, event, DeliveryEnd::Delivered, None, now).await?;
            Finish::Done(Some(format!("{} taken with {status}", event.kind)))
        }
        Some(Told::Gone) => {
            let why = "the endpoint answered 410 Gone: it wants no more events";
            webhook_deliveries::switch_endpoint(&mut tx, false, "worker", why, now).await?;
            end(&mut tx, event, DeliveryEnd::Failed, Some(why), now).await?;
            raise_alarm("event_endpoint_gone");
            tracing::error!("the endpoint answered 410: events are off until `billing events on`");
            Finish::Fail(why.into())
        }
        Some(Told::Refused(why)) => refused(&mut tx, event, &why, now).await?,
    };
    Ok(Ran::Committed(lease.commit(tx, finish, now).await?))
}

async fn refused(
    conn: &mut PgConnection,
    event: &Waiting,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Finish, StoreError> {
    let tries = usize::try_from(event.tries).unwrap_or_default().saturating_add(1);
    if let Some(run_at) = next_try(tries, event.first_tried_at.unwrap_or(now), now) {
        webhook_deliveries::record_failed_try(conn, event.id, why, now).await?;
        return Ok(Finish::Retry { error: format!("{}: {why}", event.kind), run_at });
    }
    let why = format!("given up after {} days: {why}", GIVE_UP_AFTER.num_days());
    end(conn, event, DeliveryEnd::Failed, Some(&why), now).await?;
    raise_alarm("event_given_up");
    tracing::error!(event.kind, tries, "an event was not taken for days: `billing events replay`");
    Ok(Finish::Fail(format!("{}: {why}", event.kind)))
}

/// Ends the event; the next one of its subscription goes.
async fn end(
    conn: &mut PgConnection,
    event: &Waiting,
    how: DeliveryEnd,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    webhook_deliveries::settle(conn, event.id, how, error, now).await?;
    make_delivery_job(conn, event.subscription_id, now).await?;
    Ok(())
}
