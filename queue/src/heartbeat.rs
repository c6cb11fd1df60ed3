//! Renews the process's leases on a thread and a connection of its own: handlers that block cannot delay it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claim;
use crate::job::Lease;
use crate::own_connection::OwnConnection;
use crate::supervisor::Progress;

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

/// Beats until stopped. Ends early when the thread cannot be started or dies: the supervisor starts it again.
pub(crate) async fn run(
    pool: PgPool,
    leases: Arc<LeaseRegistry>,
    lease: Duration,
    stop: CancellationToken,
    progress: Progress,
) {
    // Dropped with this task, so that never two threads beat.
    let stop = stop.child_token();
    let _ends_with_this_task = stop.clone().drop_guard();
    let (alive, ended) = oneshot::channel::<()>();
    let started = std::thread::Builder::new().name("queue-heartbeat".to_owned()).spawn(move || {
        // Dropped when the thread ends, by a panic, too.
        let _alive = alive;
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(beat(&pool, &leases, lease, &stop, &progress)),
            Err(error) => tracing::error!(%error, "the heartbeat's runtime could not be made"),
        }
    });
    match started {
        Ok(_thread) => drop(ended.await),
        Err(error) => tracing::error!(%error, "the heartbeat's thread could not be started"),
    }
}

/// Three beats to a lease, each with the time of one: a beat that hangs leaves room for another.
async fn beat(
    pool: &PgPool,
    leases: &LeaseRegistry,
    lease: Duration,
    stop: &CancellationToken,
    progress: &Progress,
) {
    let pause = lease / 3;
    let mut conn = OwnConnection::new(pool, pause).without_waiting_for_disk();
    let mut wait = pause;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        progress.mark();
        wait = pause;
        let running = leases.all();
        if running.is_empty() {
            continue;
        }
        // Leases that are lost show when their outcome is fenced; some are merely finished by now.
        if let Err(error) = conn.with(async |conn| claim::heartbeat(conn, &running, lease).await).await {
            tracing::warn!(%error, "leases could not be renewed");
            metrics::counter!("queue_heartbeat_failures_total").increment(1);
            wait = pause.min(Duration::from_millis(500));
        }
    }
}
