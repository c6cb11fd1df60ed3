//! One process's part in the queue: starts the background tasks, wakes them, stops in order.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::claimer::Claimer;
use crate::completion_batcher::Outcome;
use crate::config::QueueConfig;
use crate::heartbeat::LeaseRegistry;
use crate::policy::ClaimLimit;
use crate::running_job::JobKeeper;
use crate::shared::{Alive, Shared};
use crate::{completion_batcher, heartbeat, listener, rescuer};

/// How long the last writes may take when the limit for handlers is over.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// Each background task says more often than this that it is alive, a database that is away included.
const STALL_AFTER: Duration = Duration::from_mins(2);

/// One process's part in the queue: a handle, cheap to clone. Ends its background tasks when the last clone,
/// the last [`PgBackend`](crate::PgBackend) and the last running job are gone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) alive: Arc<Alive>,
}

/// How a stop went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Jobs still at work when the limit was reached: they keep their lease, and go on for as long as the
    /// process lives. Empty after a clean stop.
    pub still_running: Vec<i64>,
}

impl Queue {
    /// Starts this process's background tasks under the supervisor of `config`: claimer, completion batcher, rescuer and
    /// listener on the current tokio runtime, the heartbeat on a thread of its own.
    pub fn start(pool: PgPool, config: QueueConfig) -> Self {
        let (outcomes, arriving) = mpsc::unbounded_channel();
        let leases = Arc::new(LeaseRegistry::default());
        let keeper = JobKeeper { leases: leases.clone(), outcomes, slot_freed: Arc::default() };
        let shared = Arc::new(Shared::new(pool.clone(), config, keeper));
        let config = &shared.config;
        let (supervisor, answer_within) = (&config.supervisor, config.answer_within);
        let stall_after = STALL_AFTER.max(answer_within.saturating_mul(2)).max(config.lease);

        let (stop, batching) = (shared.lease_keeping.clone(), (pool.clone(), Arc::new(Mutex::new(arriving))));
        supervisor.spawn("completion batcher", stall_after, stop, move |progress| {
            completion_batcher::run(batching.0.clone(), answer_within, batching.1.clone(), progress)
        });
        let (stop, beating, lease) = (shared.lease_keeping.clone(), pool.clone(), config.lease);
        supervisor.spawn("heartbeat", stall_after, stop.clone(), move |progress| {
            heartbeat::run(beating.clone(), leases.clone(), lease, stop.clone(), progress)
        });
        let (stop, claiming) = (shared.claiming.clone(), shared.clone());
        supervisor.spawn("claimer", stall_after, stop, move |progress| {
            Claimer::new(claiming.clone(), progress).run()
        });
        let (stop, wake, listening) = (shared.background.clone(), shared.wake.clone(), pool.clone());
        supervisor.spawn("listener", stall_after, stop.clone(), move |progress| {
            listener::run(listening.clone(), wake.clone(), stop.clone(), progress)
        });
        let (stop, rescuing) = (shared.background.clone(), config.clone());
        supervisor.spawn("rescuer", stall_after, stop.clone(), move |progress| {
            rescuer::run(pool.clone(), rescuing.clone(), stop.clone(), progress)
        });
        Self { alive: Arc::new(Alive(shared.clone())) }
    }

    /// Has the claimer look at the table now: for a clock that was just moved.
    pub fn wake(&self) {
        self.alive.wake.send_replace(());
    }

    /// Limits how many jobs of this kind the process claims, until it is set again. Running ones go on.
    pub fn limit_claims(&self, kind: &'static str, limit: ClaimLimit) {
        self.alive.set_limit(kind, limit);
    }

    /// Claims nothing new, waits up to `limit` for running jobs, gives back the rest.
    pub async fn stop(&self, limit: Duration) -> Stopped {
        self.stop_claiming();
        self.wind_up(Instant::now() + limit).await
    }

    /// What was claimed and has not started goes back at once.
    pub(crate) fn stop_claiming(&self) {
        self.alive.claiming.cancel();
        for kind in self.alive.kinds() {
            kind.close();
        }
    }

    pub(crate) async fn wind_up(&self, until: Instant) -> Stopped {
        let shared = &self.alive;
        shared.keeping.close();
        shared.handing_back.close();
        let _ = timeout_at(until, async {
            // A claim that was under way has been given back when this returns.
            drop(shared.claim_under_way.lock().await);
            tokio::join!(shared.keeping.wait(), shared.handing_back.wait());
        })
        .await;
        shared.hand_back.cancel();
        let _ = timeout(LAST_WRITES, async {
            shared.handing_back.wait().await;
            let (answer, written) = oneshot::channel();
            let _ = shared.keeper.outcomes.send(Outcome::Barrier(answer));
            let _ = written.await;
        })
        .await;
        shared.background.cancel();
        // The heartbeat goes on for those that still hold a lease.
        Stopped { still_running: shared.keeper.leases.all().into_iter().map(|(id, _)| id).collect() }
    }
}
