//! Which connections are open, and for whom each waits. A connection that waits for its client for too long is closed;
//! when there are too many, the one that has waited longest goes first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rest of a request's head; also the first byte of a new connection.
    Head,
    /// The rest of a request's body.
    Body,
    /// Our own answer. The handler has limits of its own.
    Work,
    /// The client, to read the answer.
    Answer,
    /// The client, to read the end of the answer.
    Flush,
    /// The next request on a connection that is kept open.
    Idle,
}

impl Phase {
    fn limit(self) -> Option<Duration> {
        match self {
            Self::Head => Some(Duration::from_secs(10)),
            Self::Body => Some(Duration::from_secs(20)),
            Self::Work => None,
            Self::Answer | Self::Flush => Some(Duration::from_mins(1)),
            // Load balancers keep their connections open for a minute, and must be the ones that close them.
            Self::Idle => Some(Duration::from_secs(75)),
        }
    }
}

pub(super) struct Registry {
    max_connections: usize,
    next_id: AtomicU64,
    open: Mutex<HashMap<u64, Arc<State>>>,
}

/// One connection's phase, shared by its stream, its bodies and the registry.
pub(super) struct State {
    phase: Mutex<(Phase, Instant)>,
    closed: CancellationToken,
}

/// A place in the registry, given back when dropped.
pub(super) struct WatchedConnection {
    id: u64,
    state: Arc<State>,
    registry: Arc<Registry>,
}

impl State {
    pub(super) fn enter(&self, phase: Phase) {
        *self.lock() = (phase, Instant::now());
    }

    /// Enters `to` only from `from`.
    pub(super) fn step(&self, from: Phase, to: Phase) {
        let mut current = self.lock();
        if current.0 == from {
            *current = (to, Instant::now());
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().0
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Since when this connection waits for its client.
    fn waiting_since(&self) -> Option<Instant> {
        let (phase, since) = *self.lock();
        phase.limit().map(|_| since)
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let (phase, since) = *self.lock();
        phase.limit().is_some_and(|limit| now.saturating_duration_since(since) >= limit)
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    pub(super) fn new(max_connections: usize) -> Arc<Self> {
        Arc::new(Self { max_connections, next_id: AtomicU64::new(0), open: Mutex::default() })
    }

    /// A place for a new connection. `None` where every open one is being worked for.
    pub(super) fn enter(self: &Arc<Self>, now: Instant) -> Option<WatchedConnection> {
        let is_full = self.lock().len() >= self.max_connections;
        if is_full && !self.close_longest_waiting() {
            closed("refused");
            return None;
        }
        let state =
            Arc::new(State { phase: Mutex::new((Phase::Head, now)), closed: CancellationToken::new() });
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Arc::clone(&state));
        gauge!("http_connections").increment(1.0);
        Some(WatchedConnection { id, state, registry: Arc::clone(self) })
    }

    /// Makes room. Returns false where no connection waits for its client.
    pub(super) fn close_longest_waiting(&self) -> bool {
        let mut open = self.lock();
        let waiting = open.iter().filter_map(|(id, state)| state.waiting_since().map(|since| (since, *id)));
        let Some((_, id)) = waiting.min() else { return false };
        if let Some(state) = open.remove(&id) {
            state.closed.cancel();
            closed("to_make_room");
        }
        true
    }

    pub(super) fn close_overdue(&self, now: Instant) {
        self.lock().retain(|_, state| {
            let is_overdue = state.is_overdue(now);
            if is_overdue {
                state.closed.cancel();
                closed("overdue");
            }
            !is_overdue
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<State>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedConnection {
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

impl Drop for WatchedConnection {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
        gauge!("http_connections").decrement(1.0);
    }
}

fn closed(reason: &'static str) {
    counter!("http_connections_closed_total", "reason" => reason).increment(1);
}

/// How many connections may be open so that `reserved` file descriptors are left for the database and everything else;
/// at most `wanted`. Raises the process's soft limit to the hard one first.
pub fn descriptor_limit(wanted: usize, reserved: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        tracing::debug!("the limit of file descriptors could not be raised");
    }
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return wanted };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    // Half of them at least: too few descriptors slow the database down, none for callers stop everything.
    descriptors.saturating_sub(reserved).max(descriptors / 2).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_longest_waiting_connection_makes_room() {
        let (registry, now) = (Registry::new(2), Instant::now());
        let first = registry.enter(now).unwrap();
        let second = registry.enter(now + SECOND).unwrap();
        first.state.enter(Phase::Work);
        let third = registry.enter(now + 2 * SECOND).unwrap();
        assert!(second.state.closed.is_cancelled() && !first.state.closed.is_cancelled());
        third.state.enter(Phase::Work);
        assert!(registry.enter(now + 3 * SECOND).is_none(), "both are being worked for");
        drop(third);
        assert!(registry.enter(now + 4 * SECOND).is_some());
    }

    #[test]
    fn a_client_has_a_limit_in_every_phase_but_work() {
        for phase in [Phase::Head, Phase::Body, Phase::Answer, Phase::Flush, Phase::Idle] {
            let registry = Registry::new(2);
            let connection = registry.enter(Instant::now()).unwrap();
            connection.state.enter(phase);
            registry.close_overdue(Instant::now() + 5 * SECOND);
            assert!(!connection.state.closed.is_cancelled(), "{phase:?}");
            registry.close_overdue(Instant::now() + 80 * SECOND);
            assert!(connection.state.closed.is_cancelled(), "{phase:?}");
        }
        let registry = Registry::new(2);
        let connection = registry.enter(Instant::now()).unwrap();
        connection.state.enter(Phase::Work);
        registry.close_overdue(Instant::now() + 1_000 * SECOND);
        assert!(!connection.state.closed.is_cancelled());
    }
}
