//! The leases that this process holds, for the heartbeat.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::job::Lease;

/// Id and token of each try that this process has claimed and not settled.
#[derive(Default)]
pub(crate) struct LeaseRegistry(Mutex<HashMap<i64, Uuid>>);

impl LeaseRegistry {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<(i64, Uuid)> {
        self.lock().iter().map(|(id, token)| (*id, *token)).collect()
    }

    pub(crate) fn add(&self, lease: &Lease) {
        self.lock().insert(lease.id, lease.token);
    }

    /// A later claim of the same job by this process has another token and is left alone.
    pub(crate) fn remove(&self, lease: &Lease) {
        let mut leases = self.lock();
        if leases.get(&lease.id) == Some(&lease.token) {
            leases.remove(&lease.id);
        }
    }
}
