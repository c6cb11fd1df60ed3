//! Running the workers until a signal, and stopping: claim nothing new, finish what is in hand, give back the rest.

use std::pin::pin;
use std::time::Duration;

use apalis_core::monitor::{Monitor, MonitorError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::flusher::Outcome;
use super::{Queue, Shared};

/// How long the last writes may take when the limit for handlers is over.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How a stop went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Jobs still at work when the limit was reached: they keep their lease, and go on for as long as the
    /// process lives. Empty after a clean stop.
    pub still_running: Vec<i64>,
}

impl Queue {
    /// Runs the workers until `signal`, then stops within about `limit`.
    ///
    /// Give the monitor no shutdown timeout of its own: with one, apalis hides the death of a worker.
    ///
    /// # Errors
    /// A worker ended by itself; the others were stopped like at a signal.
    pub async fn run(
        &self,
        monitor: Monitor,
        signal: impl Future<Output = ()>,
        limit: Duration,
    ) -> Result<Stopped, MonitorError> {
        let workers = monitor.context();
        let mut running = pin!(monitor.should_restart(|_, _| true).run());
        let ended = tokio::select! {
            ended = &mut running => Some(ended),
            () = signal => None,
        };
        let until = Instant::now() + limit;
        self.shared.stop_claiming();
        if ended.is_none() {
            workers.shutdown()?;
            // Handlers run on tasks of their own and outlive this.
            let _ = timeout_at(until, &mut running).await;
        }
        let stopped = self.shared.wind_up(until).await;
        ended.unwrap_or(Ok(())).map(|()| stopped)
    }

    /// Stops without a monitor: claims nothing new, waits up to `limit`, gives back the rest.
    pub async fn stop(&self, limit: Duration) -> Stopped {
        let until = Instant::now() + limit;
        self.shared.stop_claiming();
        self.shared.wind_up(until).await
    }
}

impl Shared {
    /// What was claimed and has not started goes back at once.
    fn stop_claiming(&self) {
        self.claiming.cancel();
        for inbox in self.inboxes().iter().filter_map(std::sync::Weak::upgrade) {
            inbox.close();
        }
    }

    async fn wind_up(&self, until: Instant) -> Stopped {
        self.keeping.close();
        self.handing_back.close();
        let _ =
            timeout_at(until, async { tokio::join!(self.keeping.wait(), self.handing_back.wait()) }).await;
        self.hand_back.cancel();
        let _ = timeout(LAST_WRITES, async {
            self.handing_back.wait().await;
            let (answer, written) = oneshot::channel();
            let _ = self.outcomes.send(Outcome::Barrier(answer));
            let _ = written.await;
        })
        .await;
        self.background.cancel();
        // The heartbeat goes on for those that still hold a lease.
        Stopped { still_running: self.held.all().into_iter().map(|(id, _)| id).collect() }
    }
}
