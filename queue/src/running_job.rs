//! A claimed job in this process, with its lease and its slot; given back to the table if it never starts.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::completion_batcher::Outcome;
use crate::heartbeat::LeaseRegistry;
use crate::job::Lease;

/// What a claimed job needs of its process.
#[derive(Clone)]
pub(crate) struct JobKeeper {
    pub(crate) leases: Arc<LeaseRegistry>,
    pub(crate) outcomes: mpsc::UnboundedSender<Outcome>,
    /// Told of each slot that becomes free.
    pub(crate) slot_freed: Arc<tokio::sync::Notify>,
}

/// Dropping it frees its slot, and gives the job back unless it was started.
pub(crate) struct RunningJob {
    pub(crate) lease: Lease,
    keeper: JobKeeper,
    started: bool,
    slot: Option<OwnedSemaphorePermit>,
}

impl RunningJob {
    pub(crate) fn new(lease: Lease, keeper: JobKeeper, slot: OwnedSemaphorePermit) -> Self {
        keeper.leases.add(&lease);
        Self { lease, keeper, started: false, slot: Some(slot) }
    }

    /// From here on whoever runs it writes its outcome.
    pub(crate) fn start(&mut self) {
        self.started = true;
    }

    /// Stopped before its outcome: back to the table.
    pub(crate) fn release(mut self) {
        self.started = false;
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.keeper.leases.remove(&self.lease);
        if !self.started {
            // Without a batcher the process is ending; then the job is rescued when its lease runs out.
            let _ = self.keeper.outcomes.send(Outcome::Release(self.lease.id, self.lease.token));
        }
        drop(self.slot.take());
        self.keeper.slot_freed.notify_one();
    }
}
