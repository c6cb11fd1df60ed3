//! Waking idle claimers, by kind. A wake-up that comes while a claimer works is not lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// One bell per kind.
#[derive(Default)]
pub(crate) struct Wakeups(Mutex<HashMap<&'static str, watch::Sender<()>>>);

impl Wakeups {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn subscribe(&self, kind: &'static str) -> watch::Receiver<()> {
        self.lock().entry(kind).or_default().subscribe()
    }

    /// An empty kind stands for several.
    pub(crate) fn wake(&self, kind: &str) {
        if kind.is_empty() {
            self.wake_all();
        } else if let Some(bell) = self.lock().get(kind) {
            bell.send_replace(());
        }
    }

    pub(crate) fn wake_all(&self) {
        for bell in self.lock().values() {
            bell.send_replace(());
        }
    }
}
