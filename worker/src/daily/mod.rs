//! The daily run: an invoice and a charge job for every subscription that is due, in batches that each stand alone. The
//! common case is one statement a batch; the rest is billed row by row.

use std::collections::HashSet;

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::breaker::GatewayAccount;
use common::domain::calendar::{days_after, seoul_midnight};
use common::domain::invoice::{Invoice, due_periods};
use common::jobs;
use common::jobs::{ChargeSubscription, ScanDueSubscriptions};
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::scan::{Due, Place, ScanDay};
use common::store::{invoices, scan, subscriptions};
use uuid::Uuid;

use self::batches::{Worked, come_back, later, work_through};
use self::plan_changes::settle_changes;
use self::price_changes::roll_out_prices;
use crate::crash;
use crate::env::{Env, Tx};
use crate::error::SettleError;
use crate::gateway::health;

mod batches;
mod consent_requests;
mod plan_changes;
mod price_changes;
pub(crate) mod renewal_notices;

const BATCH: i64 = 5_000;

/// Can die after any batch and go on: what exists already is left as it is.
pub(crate) async fn scan_due_subscriptions(
    job: ScanDueSubscriptions,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    if let Some(finish) = health::blocked(&env, GatewayAccount::Billing).await? {
        return Ok(Ran::Finish(finish));
    }
    let unchanged = roll_out_prices(&env).await?.saturating_add(settle_changes(&env, job.date).await?);
    let until = seoul_midnight(days_after(job.date, 1)?) - TimeDelta::microseconds(1);
    let day = ScanDay { date: job.date, until };
    let done = bill_in_sets(&env, day).await?;
    let (mut last, mut seen) = (Uuid::nil(), done);
    let mut all = Worked { done, ..Worked::default() };
    loop {
        let mut conn = env.pool.acquire().await?;
        let due = scan::due_batch(&mut conn, until, last, BATCH).await?;
        drop(conn);
        let Some(end) = due.last() else { break };
        last = end.subscription_id;
        seen = seen.saturating_add(due.len());
        all.add(work_through(&env, WHAT, due, |tx, due| bill(&env, tx, due, &job)).await?);
        crash::point("after_scan_batch");
    }
    come_back(&env, WHAT, &mut all, |tx, due| bill(&env, tx, due, &job)).await?;
    let (enqueued, locked) = (all.done, all.locked.len().saturating_add(unchanged));
    tracing::info!(job.id = lease.id(), scan.date = %job.date, due = seen, enqueued, locked, failed = all.failed, "scanned");
    if let Some(later) = later(&env, locked) {
        return Ok(later);
    }
    let told = match all.failed {
        0 => format!("{seen} due, {enqueued} charge jobs made"),
        failed => {
            format!("{seen} due, {enqueued} charge jobs made, {failed} subscriptions failed: see the log")
        }
    };
    Ok(Ran::Finish(Finish::Done(Some(told))))
}

const WHAT: &str = "bill due subscriptions";

/// The common case, one statement a batch. Returns how many charge jobs it made. What a batch leaves out,
/// and a batch that the database refuses, is billed row by row afterwards.
async fn bill_in_sets(env: &Env, day: ScanDay) -> Result<usize, JobError> {
    let (mut after, mut queued) = (Place::START, 0_i64);
    loop {
        let mut conn = env.pool.acquire().await?;
        let end = match scan::bill_batch(&mut conn, day, after, BATCH, env.clock.now()).await {
            Ok(batch) => {
                queued = queued.saturating_add(batch.queued);
                batch.end
            }
            Err(error) => {
                tracing::warn!(%error, "a batch of due subscriptions is billed row by row");
                scan::end_of_batch(&mut conn, day, after, BATCH).await?
            }
        };
        let Some(end) = end else { break };
        after = end;
        crash::point("after_scan_batch");
    }
    Ok(usize::try_from(queued).unwrap_or_default())
}

/// An invoice and a charge job for each of these that nobody else holds.
async fn bill(
    env: &Env,
    mut tx: Tx,
    due: Vec<Due>,
    job: &ScanDueSubscriptions,
) -> Result<(Tx, Worked<Due>), SettleError> {
    let now = env.clock.now();
    let ids: Vec<Uuid> = due.iter().map(|due| due.subscription_id).collect();
    let free: HashSet<Uuid> = subscriptions::lock_free(&mut tx, &ids).await?.into_iter().collect();
    let (due, locked): (Vec<Due>, Vec<Due>) =
        due.into_iter().partition(|due| free.contains(&due.subscription_id));
    invoices::insert_missing(&mut tx, &missing(&due, job, now)?, now).await?;
    let ids: Vec<Uuid> = due.iter().map(|due| due.subscription_id).collect();
    let rows = scan::untried_invoices(&mut tx, &ids)
        .await?
        .into_iter()
        .map(|open| {
            let job = ChargeSubscription {
                invoice_id: open.invoice_id,
                subscription_id: open.subscription_id,
                by_scan: true,
            };
            jobs::row(&job, now)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let done = common::queue::enqueue_many(&mut tx, &rows, now).await?.len();
    Ok((tx, Worked { done, locked, failed: 0 }))
}

fn missing(due: &[Due], job: &ScanDueSubscriptions, now: DateTime<Utc>) -> Result<Vec<Invoice>, SettleError> {
    let mut wanted = Vec::with_capacity(due.len());
    for due in due {
        if let Some(periods) = due_periods(due.schedule, due.period_no, job.date)? {
            wanted.extend(Invoice::for_periods(due.subscription_id, due.amount, &periods, now));
        }
    }
    Ok(wanted)
}
