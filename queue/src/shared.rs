//! What the tasks of one process's queue share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::QueueConfig;
use crate::local_kind::LocalKind;
use crate::policy::{ClaimLimit, OnStop};
use crate::running_job::JobKeeper;

pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) config: QueueConfig,
    pub(crate) keeper: JobKeeper,
    /// Has the claimer look at the table now.
    pub(crate) wake: watch::Sender<()>,
    kinds: Mutex<Vec<Arc<LocalKind>>>,
    limits: Mutex<HashMap<&'static str, ClaimLimit>>,
    /// Held during a claim, until its jobs are delivered.
    pub(crate) claim_under_way: tokio::sync::Mutex<()>,
    /// Cancelled when nothing new may be claimed.
    pub(crate) claiming: CancellationToken,
    /// Cancelled when handlers that may be cut off are.
    pub(crate) hand_back: CancellationToken,
    /// Cancelled when rescuing and listening end.
    pub(crate) background: CancellationToken,
    /// Cancelled when no lease is held any more, or nobody is left to hold one.
    pub(crate) lease_keeping: CancellationToken,
    pub(crate) keeping: TaskTracker,
    pub(crate) handing_back: TaskTracker,
}

impl Shared {
    pub(crate) fn new(pool: PgPool, config: QueueConfig, keeper: JobKeeper) -> Self {
        Self {
            pool,
            config,
            keeper,
            wake: watch::Sender::new(()),
            kinds: Mutex::default(),
            limits: Mutex::default(),
            claim_under_way: tokio::sync::Mutex::default(),
            claiming: CancellationToken::new(),
            hand_back: CancellationToken::new(),
            background: CancellationToken::new(),
            lease_keeping: CancellationToken::new(),
            keeping: TaskTracker::new(),
            handing_back: TaskTracker::new(),
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.config.now)()
    }

    pub(crate) fn add_kind(&self, kind: Arc<LocalKind>) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).push(kind);
    }

    /// The kinds that this process runs, without those whose worker has ended.
    pub(crate) fn kinds(&self) -> Vec<Arc<LocalKind>> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.retain(|kind| !kind.is_closed());
        kinds.clone()
    }

    /// How many jobs of the kind may be claimed now.
    pub(crate) fn free_slots(&self, kind: &LocalKind) -> usize {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        kind.free_slots(limits.get(kind.config.kind).copied().unwrap_or_default())
    }

    pub(crate) fn set_limit(&self, kind: &'static str, limit: ClaimLimit) {
        let before = self.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, limit);
        if before.unwrap_or_default() != limit {
            self.wake.send_replace(());
        }
    }

    /// Who waits at a stop for a job of this kind.
    pub(crate) fn tracker(&self, on_stop: OnStop) -> &TaskTracker {
        match on_stop {
            OnStop::KeepLease => &self.keeping,
            OnStop::HandBack => &self.handing_back,
        }
    }
}

/// Keeps the background tasks alive; they end when the last holder is gone: the process's handles, its apalis backends,
/// its running jobs.
pub(crate) struct Alive(pub(crate) Arc<Shared>);

impl std::ops::Deref for Alive {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.claiming.cancel();
        self.background.cancel();
        self.lease_keeping.cancel();
    }
}
