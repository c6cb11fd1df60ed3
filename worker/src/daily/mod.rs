//! The daily run: an invoice and a charge job for every subscription that is due, in batches that each stand alone.

use apalis::prelude::Data;
use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    domain::{
        calendar::{days_after, seoul_midnight},
        invoice::{Invoice, due_periods},
    },
    jobs::{self, ChargeSubscription, ScanDueSubscriptions},
    store::{
        invoices,
        scan::{self, Due},
    },
};
use uuid::Uuid;

use self::{plan_changes::settle_changes, price_changes::roll_out_prices};
use crate::{crash, env::Env, gateway::health};

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
    if let Some(finish) = health::blocked(&env).await? {
        return Ok(Ran::Finish(finish));
    }
    roll_out_prices(&env).await?;
    settle_changes(&env, job.date).await?;
    let until = seoul_midnight(days_after(job.date, 1)?) - TimeDelta::microseconds(1);
    let (mut last, mut seen, mut enqueued) = (Uuid::nil(), 0_usize, 0_usize);
    loop {
        let now = env.clock.now();
        let mut tx = env.pool.begin().await?;
        let due = scan::due_batch(&mut tx, until, last, BATCH).await?;
        let Some(end) = due.last() else { break };
        last = end.subscription_id;
        seen = seen.saturating_add(due.len());
        invoices::insert_missing(&mut tx, &missing(&due, &job, now)?, now).await?;
        let subscriptions: Vec<Uuid> = due.iter().map(|due| due.subscription_id).collect();
        let rows = scan::untried_invoices(&mut tx, &subscriptions)
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
        enqueued = enqueued.saturating_add(common::queue::enqueue_many(&mut tx, &rows, now).await?.len());
        tx.commit().await?;
        crash::point("after_scan_batch");
    }
    tracing::info!(job.id = lease.id(), scan.date = %job.date, due = seen, enqueued, "scanned");
    Ok(Ran::Finish(Finish::Done(Some(format!("{seen} due, {enqueued} charge jobs made")))))
}

fn missing(due: &[Due], job: &ScanDueSubscriptions, now: DateTime<Utc>) -> Result<Vec<Invoice>, JobError> {
    let mut wanted = Vec::with_capacity(due.len());
    for due in due {
        if let Some(periods) = due_periods(due.rhythm, due.period_no, job.date)? {
            wanted.extend(Invoice::for_periods(due.subscription_id, due.amount, &periods, now));
        }
    }
    Ok(wanted)
}
