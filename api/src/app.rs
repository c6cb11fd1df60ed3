//! What every request needs: the database, the clock, who may ask, and news of settled payments.

use std::{io, sync::Arc, time::Duration};

use axum::http::HeaderValue;
use common::{clock::Clock, mail::Brand};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Auth, AuthSettings},
    limiter::Limiter,
    metrics,
    settlements::Settlements,
};

/// What is not the database and not the clock.
#[derive(Debug, Clone)]
pub struct Settings {
    pub auth: AuthSettings,
    pub cron_secret: SecretString,
    /// How long a confirmation waits for its payment to settle before it answers 202.
    pub confirm_wait: Duration,
    pub brand: Brand,
    /// Pages of other origins whose scripts may call.
    pub allowed_origins: Vec<HeaderValue>,
}

/// One running API. Build it, then give it to [`serve`](crate::serve) or [`router`](crate::router).
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) auth: Auth,
    pub(crate) cron_secret: SecretString,
    pub(crate) confirm_wait: Duration,
    pub(crate) brand: Brand,
    pub(crate) allowed_origins: Vec<HeaderValue>,
    pub(crate) settlements: Settlements,
    pub(crate) confirmations: Limiter,
    pub(crate) metrics: PrometheusHandle,
    /// Cancelled when the process is asked to stop: nobody waits for a payment any longer.
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// Fails only where keys are to be fetched over HTTPS and this machine trusts no certificate authority.
    pub fn new(pool: PgPool, clock: Clock, settings: Settings) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            settlements: Settlements::new(&pool),
            pool,
            clock,
            auth: Auth::new(settings.auth)?,
            cron_secret: settings.cron_secret,
            confirm_wait: settings.confirm_wait,
            brand: settings.brand,
            allowed_origins: settings.allowed_origins,
            confirmations: Limiter::per_minute(CONFIRMATIONS_PER_MINUTE),
            metrics: metrics::recorder(),
            stopping: CancellationToken::new(),
        }))
    }
}

/// Per user and process. Far above what a person does, far below what fills the database or Toss's quota.
pub(crate) const CONFIRMATIONS_PER_MINUTE: u32 = 600;
