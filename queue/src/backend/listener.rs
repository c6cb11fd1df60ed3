//! Wakes claimers at each NOTIFY. Only a hint: what it misses is found by polling.

use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::patience;
use super::wakeups::Wakeups;
use crate::CHANNEL;

/// Listens on a connection of its own until stopped, reconnecting with backoff.
pub(crate) fn keep_listening(
    pool: &PgPool,
    wakeups: Arc<Wakeups>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    // One lazy connection outside the pool, so that a pool full of handlers cannot starve it.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    async move {
        let mut waits = patience::waits();
        while !stop.is_cancelled() {
            let mut connected = false;
            let error = tokio::select! {
                () = stop.cancelled() => return,
                Err(error) = listen(&own, &wakeups, &mut connected) => error,
            };
            if connected {
                waits = patience::waits();
            }
            tracing::warn!(error = %error, "not listening for new jobs: polling until reconnected");
            let wait = waits.next().unwrap_or_default();
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(wait) => {} }
        }
    }
}

async fn listen(
    own: &PgPool,
    wakeups: &Wakeups,
    connected: &mut bool,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(own).await?;
    listener.listen(CHANNEL).await?;
    *connected = true;
    loop {
        // First after registering: what was enqueued before would otherwise wait for a poll.
        wakeups.wake_all();
        while let Some(notice) = listener.try_recv().await? {
            wakeups.wake(notice.payload());
        }
    }
}
