//! Wakes the claimer at each NOTIFY. Only a hint: what it misses is found by polling.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::CHANNEL;
use crate::retry::pauses;
use crate::supervisor::Progress;

/// How often it looks up from a silent connection to say that it is alive.
const IDLE_MARK: Duration = Duration::from_secs(5);

/// Listens on a connection of its own until stopped, and reconnects with backoff.
pub(crate) async fn run(pool: PgPool, wake: watch::Sender<()>, stop: CancellationToken, progress: Progress) {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let mut waits = pauses();
    while !stop.is_cancelled() {
        progress.mark();
        let mut is_connected = false;
        let error = tokio::select! {
            () = stop.cancelled() => return,
            Err(error) = listen(&own, &wake, &mut is_connected, &progress) => error,
        };
        if is_connected {
            waits = pauses();
        }
        tracing::warn!(error = %error, "not listening for new jobs: polling until reconnected");
        let wait = waits.next().unwrap_or_default();
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(wait) => {} }
    }
}

async fn listen(
    own: &PgPool,
    wake: &watch::Sender<()>,
    is_connected: &mut bool,
    progress: &Progress,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(own).await?;
    listener.listen(CHANNEL).await?;
    *is_connected = true;
    loop {
        // First after registering: what was enqueued before would otherwise wait for a poll.
        wake.send_replace(());
        loop {
            progress.mark();
            match tokio::time::timeout(IDLE_MARK, listener.try_recv()).await {
                Ok(notice) => match notice? {
                    Some(_) => wake.send_replace(()),
                    // Reconnected: look at once, as after registering.
                    None => break,
                },
                Err(_silent) => {}
            }
        }
    }
}
