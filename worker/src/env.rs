//! What the handlers share: the database, the clock, the gateway, the keys, the mail.

use std::sync::Arc;

use chrono::NaiveTime;
use common::{
    clock::Clock, domain::dunning::Policy, email::Brand, mailer::Mailer, seal::Sealer, store::gate::Instance,
};
use sqlx::{PgPool, Postgres, Transaction};
use toss::Toss;

use crate::email_batches::EmailBatches;
use crate::endpoint::Endpoint;
use crate::gateway::known_merchants::KnownMerchants;
use crate::gateway::rate_limiter::RateLimiter;

/// A transaction of the pool.
pub(crate) type Tx = Transaction<'static, Postgres>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Env {
    parts: Arc<Parts>,
    pub(crate) merchants: Arc<KnownMerchants>,
    pub(crate) emails: Arc<EmailBatches>,
}

pub struct Parts {
    pub pool: PgPool,
    pub clock: Clock,
    pub toss: Toss,
    pub rate_limiter: RateLimiter,
    pub sealer: Sealer,
    pub brand: Brand,
    pub dunning: Policy,
    /// The time of day of the daily run, in Seoul: retries come at that hour.
    pub charge_time: NaiveTime,
    pub mailer: Mailer,
    /// Where events go; none where nobody listens.
    pub endpoint: Option<Endpoint>,
    /// This installation; none with test keys and no `INSTANCE_ID`.
    pub instance: Option<Instance>,
}

impl Env {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), merchants: Arc::default(), emails: Arc::default() }
    }
}

impl std::ops::Deref for Env {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Raises an alarm of this kind for the operators. The message and the ids belong into the log line beside the call.
pub(crate) fn raise_alarm(kind: &'static str) {
    metrics::counter!("billing_alarms_total", "kind" => kind).increment(1);
}
