//! Takes back what dead workers left, fails unknown kinds, and measures the queue's depth.

use std::collections::HashSet;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::QueueConfig;
use crate::depth::{Depth, depth};
use crate::error::QueueError;
use crate::rescue::{rescue, sweep_unknown_kinds};

/// Four rounds to a lease until stopped. Any number of processes may do it side by side.
pub(crate) async fn keep_rescuing(pool: PgPool, config: QueueConfig, stop: CancellationToken) {
    let mut shown = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(config.lease / 4) => {}
        }
        // The next round is soon: no waiting of its own.
        if let Err(error) = round(&pool, &config, &mut shown).await {
            tracing::warn!(error = %error, "could not look for jobs of dead workers");
        }
    }
}

async fn round(
    pool: &PgPool,
    config: &QueueConfig,
    shown: &mut HashSet<(String, &'static str)>,
) -> Result<(), QueueError> {
    for job in rescue(pool, config.lease, config.max_crashes).await? {
        metrics::counter!("queue_crashes_total", "kind" => job.kind.clone()).increment(1);
        (config.on_rescue)(&job);
        if job.parked {
            tracing::error!(
                job.id = job.id,
                job.kind = job.kind,
                "job parked: it crashed its worker too often"
            );
        } else {
            tracing::warn!(
                job.id = job.id,
                job.kind = job.kind,
                "job taken back: its worker stopped answering"
            );
        }
    }
    let now = (config.now)();
    if !config.known_kinds.is_empty() {
        let swept = sweep_unknown_kinds(pool, &config.known_kinds, config.unknown_grace, now).await?;
        if swept > 0 {
            tracing::error!(jobs = swept, "jobs failed: no worker knows their kind");
        }
    }
    show(depth(pool, now).await?, shown);
    Ok(())
}

/// A kind that is gone from the table is shown as empty, not as it last was.
fn show(depths: Vec<Depth>, shown: &mut HashSet<(String, &'static str)>) {
    let mut gone = std::mem::take(shown);
    for of_kind in depths {
        for (state, jobs) in of_kind.by_state() {
            let label = (of_kind.kind.clone(), state);
            metrics::gauge!("queue_depth", "kind" => label.0.clone(), "state" => state).set(jobs);
            gone.remove(&label);
            shown.insert(label);
        }
    }
    for (kind, state) in gone {
        metrics::gauge!("queue_depth", "kind" => kind, "state" => state).set(0.0);
    }
}
