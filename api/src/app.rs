//! What every request needs: the database, the clock, who may ask, and the wait for settled payments.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::http::HeaderValue;
use chrono::NaiveDate;
use common::clock::Clock;
use common::commands::calendar::Month;
use common::email::Brand;
use common::queue::Supervisor;
use common::seal::Sealer;
use common::store::console::failures::Group;
use common::store::{StoreError, sessions_found_unfit};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::{Auth, AuthSettings};
use crate::console::{Charts, Passwords, SlowReads};
use crate::metrics;
use crate::rate_limit::RateLimit;
use crate::settlements::Settlements;

/// What is not the database and not the clock.
#[derive(Debug, Clone)]
pub struct Settings {
    pub auth: AuthSettings,
    pub cron_secret: SecretString,
    /// How long a confirmation waits for its payment to settle before it answers 202.
    pub confirm_wait: Duration,
    pub brand: Brand,
    /// Seals the secrets of operators' one-time codes; without it none can be set up.
    pub totp_keys: Option<Arc<Sealer>>,
    /// Pages of other origins whose scripts may call.
    pub allowed_origins: Vec<HeaderValue>,
    /// Between the failing readiness and the closing of the listener.
    pub stop_delay: Duration,
}

/// One running API. Build it, then give it to [`serve`](crate::serve) or [`router`](crate::router).
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) auth: Auth,
    pub(crate) cron_secret: SecretString,
    pub(crate) confirm_wait: Duration,
    pub(crate) brand: Brand,
    pub(crate) totp_keys: Option<Arc<Sealer>>,
    pub(crate) allowed_origins: Vec<HeaderValue>,
    pub(crate) settlements: Settlements,
    /// Requests to buy of one user, whatever is in them.
    pub(crate) purchase_requests: RateLimit<Uuid>,
    /// Distinct orders and cards of one user.
    pub(crate) purchases: RateLimit<Uuid>,
    pub(crate) passwords: Passwords,
    /// By the address that an event was sent from.
    pub(crate) webhooks: RateLimit<IpAddr>,
    /// By the day.
    pub(crate) charts: SlowReads<NaiveDate, Charts>,
    /// By a day of the month and the day on which it was looked at.
    pub(crate) months: SlowReads<(NaiveDate, NaiveDate), Month>,
    /// By the day.
    pub(crate) failures: SlowReads<NaiveDate, Vec<Group>>,
    pub(crate) metrics: PrometheusHandle,
    /// Runs the background tasks.
    pub(crate) supervisor: Supervisor,
    pub(crate) stop_delay: Duration,
    /// Cancelled when the process is asked to stop: `/readyz` fails from then on.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the listener closes: no request waits for a payment any longer.
    pub(crate) stopping: CancellationToken,
}

/// Per user and process. Far above what a person does, far below what fills the database.
const PURCHASE_REQUESTS_PER_MINUTE: u32 = 600;
/// A person buys once, and tries again a few times. Each distinct purchase costs a call to Toss, whose limit all share.
const PURCHASES_PER_MINUTE: u32 = 10;
/// Toss has about ten addresses, and sends again what is answered with 429.
const WEBHOOKS_PER_MINUTE: u32 = 600;

impl App {
    /// Fails only where keys are to be fetched over HTTPS and this machine trusts no certificate authority.
    pub fn new(pool: PgPool, clock: Clock, settings: Settings) -> anyhow::Result<Arc<Self>> {
        let stopping = CancellationToken::new();
        Ok(Arc::new(Self {
            settlements: Settlements::new(&pool, settings.confirm_wait, stopping.clone()),
            pool,
            clock,
            auth: Auth::new(settings.auth)?,
            cron_secret: settings.cron_secret,
            confirm_wait: settings.confirm_wait,
            brand: settings.brand,
            totp_keys: settings.totp_keys,
            allowed_origins: settings.allowed_origins,
            purchase_requests: RateLimit::per_minute(PURCHASE_REQUESTS_PER_MINUTE),
            purchases: RateLimit::per_minute(PURCHASES_PER_MINUTE),
            passwords: Passwords::new(),
            webhooks: RateLimit::per_minute(WEBHOOKS_PER_MINUTE),
            charts: SlowReads::default(),
            months: SlowReads::default(),
            failures: SlowReads::default(),
            metrics: metrics::recorder(),
            supervisor: Supervisor::default(),
            stop_delay: settings.stop_delay,
            draining: CancellationToken::new(),
            stopping,
        }))
    }

    /// Runs `work` in one transaction: everything that it writes exists on commit, or nothing.
    ///
    /// A commit whose answer is lost may have happened: the caller gets 503, and a repeated request finds what was
    /// written. So does one whose statement met a session from before a changed table: nothing was written, and the
    /// session is not used again.
    pub(crate) async fn transaction<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tx = self.begin().await?;
        let done = work(&mut tx).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(done)
    }

    /// Begins once more, on a new session, where the one from the pool had been cut: nothing was written yet. Only the
    /// begin is repeated, no statement of the work.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let found_unfit = sessions_found_unfit();
        match self.pool.begin().await.map_err(StoreError::from) {
            Err(_) if sessions_found_unfit() != found_unfit => Ok(self.pool.begin().await?),
            begun => begun,
        }
    }
}

/// Runs `attempt` once more after an error that `lost_race` accepts: of two equal requests at the same moment one
/// inserts, and the other starts over and finds what was inserted.
pub(crate) async fn retry_lost_race<T, E, Attempt>(
    lost_race: impl Fn(&E) -> bool,
    attempt: impl Fn() -> Attempt,
) -> Result<T, E>
where
    Attempt: Future<Output = Result<T, E>>,
{
    match attempt().await {
        Err(error) if lost_race(&error) => attempt().await,
        done => done,
    }
}
