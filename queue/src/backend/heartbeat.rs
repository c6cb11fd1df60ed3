//! Renews the process's leases on a thread and a connection of its own: handlers that block cannot delay it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::in_hand::Held;
use crate::claim::heartbeat;
use crate::error::QueueError;

struct Heart {
    held: Arc<Held>,
    options: Arc<PgConnectOptions>,
    lease: Duration,
    stop: CancellationToken,
}

/// # Errors
/// The thread or its runtime could not be made.
pub(crate) fn start(shared: &Shared) -> std::io::Result<()> {
    let heart = Heart {
        held: shared.held.clone(),
        options: shared.pool.connect_options(),
        lease: shared.config.lease,
        stop: shared.heart.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("queue-heartbeat".to_owned())
        .spawn(move || runtime.block_on(heart.beat()))?;
    Ok(())
}

impl Heart {
    /// Three beats to a lease, each with the time of one: a beat that hangs leaves room for another.
    async fn beat(self) {
        let pause = self.lease / 3;
        let mut conn = None;
        let mut wait = pause;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = pause;
            let renewed = tokio::time::timeout(pause, self.renew(&mut conn)).await;
            let failed = match renewed {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_elapsed) => Some("no answer in time".to_owned()),
            };
            if let Some(error) = failed {
                tracing::warn!(error, "leases could not be renewed");
                metrics::counter!("queue_heartbeat_failures_total").increment(1);
                conn = None;
                wait = pause.min(Duration::from_millis(500));
            }
        }
    }

    async fn renew(&self, conn: &mut Option<PgConnection>) -> Result<(), QueueError> {
        let leases = self.held.all();
        if leases.is_empty() {
            return Ok(());
        }
        let mut open = match conn.take() {
            Some(open) => open,
            None => self.options.connect().await?,
        };
        // Leases that are lost show when their outcome is fenced; some are merely finished by now.
        heartbeat(&mut open, &leases, self.lease).await?;
        *conn = Some(open);
        Ok(())
    }
}
