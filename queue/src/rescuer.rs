//! Takes back what dead workers left, fails unknown kinds, and measures the queue's depth.

use std::collections::HashSet;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::QueueConfig;
use crate::depth::{Depth, depth, last_depth};
use crate::error::QueueError;
use crate::rescue::{rescue, sweep_unknown_kinds};
use crate::supervisor::Progress;
use crate::turn::take_turn;

/// Four rounds to a lease until stopped. Any number of processes may do it side by side.
pub(crate) async fn run(pool: PgPool, config: QueueConfig, stop: CancellationToken, progress: Progress) {
    let mut shown = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(config.lease / 4) => {}
        }
        progress.mark();
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
    let mut conn = pool.acquire().await?;
    for job in rescue(&mut *conn, config.lease, config.max_crashes).await? {
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
    // Counting reads every waiting job: once for all processes, and each shows the figures.
    let depths = if take_turn(&mut conn, "queue.depth", config.lease / 2).await? {
        let now = (config.now)();
        let depths = depth(&mut conn, now).await?;
        let is_unknown = |of: &Depth| of.due > 0 && !config.known_kinds.contains(&of.kind.as_str());
        // Looked for only where the count shows one: it reads every waiting job once more.
        if !config.known_kinds.is_empty() && depths.iter().any(is_unknown) {
            let failed =
                sweep_unknown_kinds(&mut *conn, &config.known_kinds, config.unknown_grace, now).await?;
            if failed > 0 {
                tracing::error!(jobs = failed, "jobs failed: no worker knows their kind");
            }
        }
        depths
    } else {
        last_depth(&mut conn).await?
    };
    show(depths, shown);
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
