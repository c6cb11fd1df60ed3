//! Jobs this process holds: each with its lease and its slot, given back if it never starts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Shared;
use super::flusher::Outcome;
use crate::job::Lease;
use crate::policy::OnStop;

/// The leases of the process, for the heartbeat: id and token.
#[derive(Default)]
pub(crate) struct Held(Mutex<HashMap<i64, Uuid>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<(i64, Uuid)> {
        self.lock().iter().map(|(id, token)| (*id, *token)).collect()
    }

    fn add(&self, lease: &Lease) {
        self.lock().insert(lease.id, lease.token);
    }

    /// A later claim of the same job by this process is left alone.
    fn remove(&self, lease: &Lease) {
        let mut held = self.lock();
        if held.get(&lease.id) == Some(&lease.token) {
            held.remove(&lease.id);
        }
    }
}

/// A claimed job in this process. Dropping it frees its slot, and gives it back unless it was started.
pub(crate) struct InHand {
    pub(crate) lease: Lease,
    pub(crate) shared: Arc<Shared>,
    started: bool,
    _slot: OwnedSemaphorePermit,
}

impl InHand {
    pub(crate) fn new(lease: Lease, shared: Arc<Shared>, slot: OwnedSemaphorePermit) -> Self {
        shared.held.add(&lease);
        Self { lease, shared, started: false, _slot: slot }
    }

    /// From here on somebody answers for its outcome.
    pub(crate) fn start(&mut self) {
        self.started = true;
    }

    /// Who waits for it at a stop.
    pub(crate) fn tracker(&self, on_stop: OnStop) -> &TaskTracker {
        match on_stop {
            OnStop::KeepLease => &self.shared.keeping,
            OnStop::HandBack => &self.shared.handing_back,
        }
    }

    /// Stopped before its outcome: back to the table.
    pub(crate) fn give_back(mut self) {
        self.started = false;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.shared.held.remove(&self.lease);
        if !self.started {
            // Without a flusher the process is ending; then the job is rescued when its lease runs out.
            let _ = self.shared.outcomes.send(Outcome::Release(self.lease.id, self.lease.token));
        }
    }
}

/// Carries a job through apalis's task data, which must be clonable; only the first taker gets it.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Mutex<Option<InHand>>>);

impl Slot {
    pub(crate) fn new(in_hand: InHand) -> Self {
        Self(Arc::new(Mutex::new(Some(in_hand))))
    }

    pub(crate) fn take(&self) -> Option<InHand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
