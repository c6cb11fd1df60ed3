//! Waits for recorded work to settle. One connection listens for the whole process, and every waiting request is woken.

use std::{convert::Infallible, sync::Arc, time::Duration};

use common::store::{SETTLED_CHANNEL, StoreError};
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A notification is only a hint: what it misses is found by reading the row again.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// A request that falls further behind than this reads its row.
const MAX_BUFFERED: usize = 1024;
/// How often it looks up from a silent connection to say that it is alive.
const IDLE_MARK: Duration = Duration::from_secs(5);
const MIN_RECONNECT_PAUSE: Duration = Duration::from_millis(100);
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Settlements {
    listener_pool: PgPool,
    settled: broadcast::Sender<Arc<str>>,
    /// How long a request waits before it answers 202.
    max_wait: Duration,
    stopping: CancellationToken,
}

/// Receives what is announced after it was made.
pub(crate) struct SettlementSubscription(broadcast::Receiver<Arc<str>>);

impl Settlements {
    pub(crate) fn new(pool: &PgPool, max_wait: Duration, stopping: CancellationToken) -> Self {
        // The connection lies outside the pool, so that busy requests cannot starve it.
        let listener_pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(pool.connect_options().as_ref().clone());
        Self { listener_pool, settled: broadcast::channel(MAX_BUFFERED).0, max_wait, stopping }
    }

    pub(crate) fn subscribe(&self) -> SettlementSubscription {
        SettlementSubscription(self.settled.subscribe())
    }

    /// Waits until `current` is settled, the wait is over, or the process stops. Returns the newest state read.
    ///
    /// `name` is what the row is announced by. The row is on record already: when it cannot be read for a while, the
    /// answer is still "being processed".
    pub(crate) async fn wait_until_settled<T, Reading>(
        &self,
        mut subscription: SettlementSubscription,
        name: &str,
        mut current: T,
        is_unfinished: impl Fn(&T) -> bool,
        read: impl Fn() -> Reading,
    ) -> T
    where
        Reading: Future<Output = Result<Option<T>, StoreError>>,
    {
        let deadline = Instant::now() + self.max_wait;
        while is_unfinished(&current) && self.next_check(&mut subscription, name, deadline).await {
            match read().await {
                Ok(Some(fresh)) => current = fresh,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, name, "unsettled row could not be read"),
            }
        }
        current
    }

    /// Returns when the row should be read again; false when the wait is over.
    async fn next_check(
        &self,
        subscription: &mut SettlementSubscription,
        name: &str,
        deadline: Instant,
    ) -> bool {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::select! {
            () = subscription.settled(name) => true,
            () = sleep(CHECK_INTERVAL.min(deadline - Instant::now())) => true,
            () = self.stopping.cancelled() => false,
        }
    }

    /// Listens for as long as the process lives, and reconnects with growing pauses.
    ///
    /// `is_alive` is called at least every few seconds.
    pub(crate) async fn keep_listening(&self, is_alive: impl Fn()) {
        let mut pause = MIN_RECONNECT_PAUSE;
        loop {
            is_alive();
            let mut connected = false;
            let Err(error) = self.listen(&mut connected, &is_alive).await;
            if connected {
                pause = MIN_RECONNECT_PAUSE;
            }
            tracing::warn!(%error, "settlement listener lost its connection; rows are polled until it is back");
            sleep(pause).await;
            pause = (pause * 2).min(MAX_RECONNECT_PAUSE);
        }
    }

    async fn listen(&self, connected: &mut bool, is_alive: &impl Fn()) -> Result<Infallible, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.listener_pool).await?;
        listener.listen(SETTLED_CHANNEL).await?;
        *connected = true;
        loop {
            is_alive();
            let Ok(received) = timeout(IDLE_MARK, listener.try_recv()).await else { continue };
            if let Some(notice) = received? {
                // An error only says that no request is waiting.
                drop(self.settled.send(Arc::from(notice.payload())));
            }
        }
    }
}

impl SettlementSubscription {
    async fn settled(&mut self, name: &str) {
        loop {
            match self.0.recv().await {
                Ok(settled) if *settled == *name => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::store::announce_settled;

    #[sqlx::test(migrations = "../migrations")]
    async fn a_settled_order_wakes_its_own_request_only(pool: PgPool) {
        let settlements = Arc::new(Settlements::new(&pool, Duration::ZERO, CancellationToken::new()));
        let (mut first, mut second) = (settlements.subscribe(), settlements.subscribe());
        let listening = tokio::spawn({
            let settlements = Arc::clone(&settlements);
            async move { settlements.keep_listening(|| {}).await }
        });
        let woken = async {
            // Announced until the connection stands: what came before it is not received.
            loop {
                announce_settled(&mut pool.acquire().await.unwrap(), "ORDER_1").await.unwrap();
                if timeout(Duration::from_millis(50), first.settled("ORDER_1")).await.is_ok() {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), woken).await.unwrap();
        assert!(timeout(Duration::from_millis(50), second.settled("ORDER_2")).await.is_err());
        listening.abort();
    }
}
