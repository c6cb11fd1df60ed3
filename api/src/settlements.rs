//! News of settled payments: one connection listens for the whole process, every waiting confirmation hears it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use common::{
    domain::{payment::Payment, registration::Registration},
    store::{
        SETTLED_CHANNEL,
        refund_requests::{self, Requested},
        registrations,
    },
};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::app::App;

/// The notice is only a hint: what it misses is found by looking.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// More news at once than this, and a waiter looks for itself.
const BUFFERED: usize = 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Settlements {
    own: PgPool,
    news: broadcast::Sender<Arc<str>>,
}

/// One waiter's ear. What is announced after it was made is heard.
pub(crate) struct Heard(broadcast::Receiver<Arc<str>>);

impl Settlements {
    pub(crate) fn new(pool: &PgPool) -> Self {
        // A lazy connection outside the pool, so that busy requests cannot starve it.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(pool.connect_options().as_ref().clone());
        Self { own, news: broadcast::channel(BUFFERED).0 }
    }

    pub(crate) fn subscribe(&self) -> Heard {
        Heard(self.news.subscribe())
    }

    /// Listens for as long as the process lives, reconnecting with growing pauses.
    pub(crate) async fn keep_listening(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut connected = false;
            let Err(error) = self.listen(&mut connected).await;
            if connected {
                pause = FIRST_PAUSE;
            }
            tracing::warn!(%error, "not listening for settled payments: looking until reconnected");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn listen(&self, connected: &mut bool) -> Result<Infallible, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.own).await?;
        listener.listen(SETTLED_CHANNEL).await?;
        *connected = true;
        loop {
            if let Some(notice) = listener.try_recv().await? {
                // Nobody waiting is no error.
                drop(self.news.send(Arc::from(notice.payload())));
            }
        }
    }
}

impl Heard {
    async fn of(&mut self, order_id: &str) {
        loop {
            match self.0.recv().await {
                Ok(settled) if *settled == *order_id => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// Waits until the payment has settled, the patience for it is over, or the process stops; the payment as it is then.
///
/// It is on record already: if the database goes away meanwhile, the answer is still "being processed".
pub(crate) async fn until_settled(app: &App, mut heard: Heard, mut attempt: Payment) -> Payment {
    let deadline = Instant::now() + app.confirm_wait;
    while attempt.is_unfinished() && is_worth_a_look(app, &mut heard, &attempt.order_id, deadline).await {
        match look(app, &attempt).await {
            Ok(Some(fresh)) => attempt = fresh,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a payment could not be looked at"),
        }
    }
    attempt
}

/// The same for a refund, which is announced by its id.
pub(crate) async fn until_refunded(app: &App, mut heard: Heard, mut refund: Requested) -> Requested {
    let deadline = Instant::now() + app.confirm_wait;
    let name = refund.id.to_string();
    while refund.is_unfinished() && is_worth_a_look(app, &mut heard, &name, deadline).await {
        match look_at_refund(app, refund.id).await {
            Ok(Some(fresh)) => refund = fresh,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a refund could not be looked at"),
        }
    }
    refund
}

/// The same for a card, which is announced by its registration's id.
pub(crate) async fn until_registered(app: &App, mut heard: Heard, mut card: Registration) -> Registration {
    let deadline = Instant::now() + app.confirm_wait;
    let name = card.id.to_string();
    while card.is_unfinished() && is_worth_a_look(app, &mut heard, &name, deadline).await {
        match look_at_card(app, card.id).await {
            Ok(Some(fresh)) => card = fresh,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a registration could not be looked at"),
        }
    }
    card
}

async fn look_at_card(app: &App, id: Uuid) -> Result<Option<Registration>, common::store::StoreError> {
    let mut conn = app.pool.acquire().await?;
    registrations::find(&mut conn, id).await
}

/// Waits for news, or until it is time to look anyway. False: the patience is over, or the process stops.
async fn is_worth_a_look(app: &App, heard: &mut Heard, name: &str, deadline: Instant) -> bool {
    if Instant::now() >= deadline {
        return false;
    }
    tokio::select! {
        () = heard.of(name) => true,
        () = sleep(LOOK_EVERY.min(deadline - Instant::now())) => true,
        () = app.stopping.cancelled() => false,
    }
}

async fn look_at_refund(app: &App, id: Uuid) -> Result<Option<Requested>, common::store::StoreError> {
    let mut conn = app.pool.acquire().await?;
    refund_requests::find(&mut conn, id).await
}

async fn look(app: &App, attempt: &Payment) -> Result<Option<Payment>, common::store::StoreError> {
    let mut conn = app.pool.acquire().await?;
    common::store::payments::find(&mut conn, attempt.id).await
}

#[cfg(test)]
mod tests {
    use common::store::announce_settled;
    use tokio::time::timeout;

    use super::*;

    #[sqlx::test(migrations = "../migrations")]
    async fn who_waits_for_an_order_hears_of_it_and_of_no_other(pool: PgPool) {
        let settlements = Arc::new(Settlements::new(&pool));
        let (mut one, mut other) = (settlements.subscribe(), settlements.subscribe());
        let listening = tokio::spawn({
            let settlements = Arc::clone(&settlements);
            async move { settlements.keep_listening().await }
        });
        let heard = async {
            // Announced until the connection stands: what came before it is not heard.
            loop {
                announce_settled(&mut pool.acquire().await.unwrap(), "ORDER_1").await.unwrap();
                if timeout(Duration::from_millis(50), one.of("ORDER_1")).await.is_ok() {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), heard).await.unwrap();
        assert!(timeout(Duration::from_millis(50), other.of("ORDER_2")).await.is_err());
        listening.abort();
    }
}
