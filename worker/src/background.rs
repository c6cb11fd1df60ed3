//! The worker's background tasks beside the queue's own. Each runs under the supervisor, which starts again what ends,
//! panics or stands still, and shows it in `/healthz`.

use std::time::Duration;

use common::clock::Clock;
use common::clock_follower::{ClockError, ClockFollower};
use common::domain::breaker::GatewayAccount;
use common::queue::{Progress, Queue, Supervisor, take_turn};
use common::store::gate;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::env::Env;
use crate::gateway::health;
use crate::scheduler::Schedule;
use crate::{crash, jobs, maintenance, scheduler, sweep};

const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// Longer than any sweep takes; a server that is gone is not waited for.
const SWEEP_FOR: Duration = Duration::from_mins(30);
const RETENTION_EVERY: Duration = Duration::from_hours(1);
/// How often it is looked whether the hour is over.
const RETENTION_LOOK: Duration = Duration::from_mins(5);
/// Longer than it takes to delete a day's rows of millions of subscriptions.
const RETENTION_FOR: Duration = Duration::from_hours(6);
const BREAKER_EVERY: Duration = Duration::from_secs(1);
const UPKEEP_EVERY: Duration = Duration::from_secs(15);
/// Longer than any round of the others takes, a database that does not answer included.
const STALL_AFTER: Duration = Duration::from_mins(10);

#[derive(Clone)]
pub(crate) struct Background {
    pub(crate) env: Env,
    pub(crate) queue: Queue,
    pub(crate) schedule: Schedule,
    pub(crate) supervisor: Supervisor,
    pub(crate) stop: CancellationToken,
}

impl Background {
    /// Starts all tasks. The channel brings the reason why this process must not go on.
    pub(crate) fn start(
        &self,
        metrics: PrometheusHandle,
        follower: ClockFollower,
    ) -> mpsc::Receiver<ClockError> {
        let (wrong_clock, reason) = mpsc::channel(1);
        self.spawn("clock follower", STALL_AFTER, move |background, progress| {
            follow_clock(background, follower.clone(), wrong_clock.clone(), progress)
        });
        self.spawn("scheduler", STALL_AFTER, |background, progress| async move {
            let Err(error) = scheduler::run(&background.env, &background.schedule, &progress).await;
            tracing::error!(%error, "the scheduler stopped");
        });
        self.spawn("sweep", SWEEP_FOR.saturating_mul(2), sweep_forever);
        self.spawn("retention", RETENTION_FOR, delete_expired_forever);
        self.spawn("breaker follower", STALL_AFTER, follow_breaker);
        self.spawn("metrics upkeep", STALL_AFTER, move |_, progress| {
            let metrics = metrics.clone();
            async move {
                loop {
                    progress.mark();
                    // Nobody may be asking for them, and histograms keep every observation until they are tidied.
                    metrics.run_upkeep();
                    tokio::time::sleep(UPKEEP_EVERY).await;
                }
            }
        });
        reason
    }

    fn spawn<F, Fut>(&self, name: &'static str, stall_after: Duration, mut start: F)
    where
        F: FnMut(Self, Progress) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (background, stop) = (self.clone(), self.stop.clone());
        self.supervisor.spawn(name, stall_after, self.stop.clone(), move |progress| {
            let (stop, task) = (stop.clone(), start(background.clone(), progress));
            // None of them holds anything that a stop in its middle would harm: each of their writes stands alone.
            async move {
                tokio::select! { () = stop.cancelled() => {}, () = task => {} }
            }
        });
    }

    /// Daily runs that are due, and unfinished work that has lost its job.
    async fn sweep(&self) {
        crash::point("sweep");
        if let Err(error) = scheduler::catch_up(&self.env, &self.schedule).await {
            tracing::warn!(%error, "the daily runs could not be enqueued; tried again soon");
        }
        if let Err(error) = sweep::announce_endpoint(&self.env).await {
            tracing::warn!(%error, "it could not be said where events go; tried again soon");
        }
        if let Err(error) = health::accept_own_key(&self.env).await {
            tracing::warn!(%error, "the secret key could not be checked; tried again soon");
        }
        if let Err(error) = sweep::sweep(&self.env).await {
            tracing::warn!(%error, "the sweep failed; tried again soon");
        }
    }

    async fn takes_turn(&self, name: &str, every: Duration) -> bool {
        let taken = async {
            let mut conn = self.env.pool.acquire().await?;
            take_turn(&mut conn, name, every).await
        };
        taken
            .await
            .inspect_err(|error| tracing::warn!(%error, name, "the turn could not be taken"))
            .unwrap_or(false)
    }

    /// Shows the breakers, and limits claims by those of the accounts that a job may call. Confirmations are claimed always:
    /// a buyer waits.
    async fn read_breaker(&self) {
        let status = async { gate::read(&mut *self.env.pool.acquire().await?).await };
        match status.await {
            Ok(status) => {
                for account in [GatewayAccount::Widget, GatewayAccount::Billing] {
                    let is_open = status.breaker(account).open_until.is_some();
                    let label = <&'static str>::from(account);
                    metrics::gauge!("billing_breaker_open", "account" => label).set(if is_open {
                        1.0
                    } else {
                        0.0
                    });
                }
                jobs::limit_claims(&self.queue, &status, self.env.clock.now());
            }
            Err(error) => tracing::debug!(%error, "the breaker could not be read"),
        }
    }
}

/// At the start in every process, then by one for all.
async fn sweep_forever(background: Background, progress: Progress) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_first = true;
    loop {
        tick.tick().await;
        progress.mark();
        if is_first || background.takes_turn("sweep", SWEEP_EVERY).await {
            is_first = false;
            if tokio::time::timeout(SWEEP_FOR, background.sweep()).await.is_err() {
                tracing::warn!("looking for unfinished work took too long; tried again soon");
            }
        }
    }
}

async fn delete_expired_forever(background: Background, progress: Progress) {
    loop {
        tokio::time::sleep(RETENTION_LOOK).await;
        progress.mark();
        if background.takes_turn("retention", RETENTION_EVERY).await
            && let Err(error) = maintenance::delete_expired(&background.env).await
        {
            tracing::warn!(%error, "expired rows could not be deleted; tried again in an hour");
        }
    }
}

async fn follow_breaker(background: Background, progress: Progress) {
    loop {
        progress.mark();
        background.read_breaker().await;
        tokio::time::sleep(BREAKER_EVERY).await;
    }
}

/// Under a test clock: the sandbox moves with this process, and what has become due starts at once.
async fn follow_clock(
    background: Background,
    follower: ClockFollower,
    wrong_clock: mpsc::Sender<ClockError>,
    progress: Progress,
) {
    if matches!(background.env.clock, Clock::Test(_)) {
        move_sandbox(&background.env).await;
    }
    let moved = || async {
        move_sandbox(&background.env).await;
        background.sweep().await;
        background.read_breaker().await;
        background.queue.wake();
    };
    let reason = follower.keep_following(true, moved, || progress.mark()).await;
    // Fails only where the process is stopping already.
    let _ = wrong_clock.send(reason).await;
    background.stop.cancelled().await;
}

async fn move_sandbox(env: &Env) {
    if let Err(error) = env.toss.set_sandbox_clock(env.clock.now()).await {
        tracing::debug!(%error, "the gateway does not follow the test clock");
    }
}
