//! The process: database, clock and address from the configuration; SIGTERM or Ctrl-C ends it.

use std::{future::Future, pin::pin, time::Duration};

use anyhow::Context;
use common::clock::Clock;
use common::clock_follower::{ClockError, ClockFollower};
use common::queue::Supervisor;
use common::store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use tokio_util::sync::CancellationToken;

use crate::{app::App, config::Config, serve::serve};

const CONNECTIONS: u32 = 20;
/// A clock follower that has not looked for so long hangs: each look is given up after five minutes.
const STALL_AFTER: Duration = Duration::from_mins(10);

/// Runs until SIGTERM or Ctrl-C. Starts while the database is still away: `/readyz` says so.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let pool = store::pool(&config.base.database_url, CONNECTIONS).context("DATABASE_URL")?;
    let stop = stop_signal()?;
    let clock = Clock::of(config.base.clock);
    let follower = ClockFollower::new(pool.clone(), clock.clone());
    let has_joined = join(&follower).await?;
    let app = App::new(pool, clock, config.settings).context("AUTH_JWKS_URL")?;
    let listener =
        TcpListener::bind(config.addr).await.with_context(|| format!("API_ADDR {}", config.addr))?;
    tracing::info!(address = %listener.local_addr()?, "billing-api serves");
    let (supervisor, stop_following) = (app.supervisor.clone(), CancellationToken::new());
    let mut wrong_clock = follow_clock(&supervisor, &follower, has_joined, &stop_following);
    let (must_stop, stopping) = oneshot::channel();
    let serving = serve(app, listener, async move {
        tokio::select! {
            () = stop => {}
            _ = stopping => {}
        }
    });
    let mut serving = pin!(serving);
    let wrong_clock = tokio::select! {
        () = &mut serving => None,
        reason = wrong_clock.recv() => {
            // Fails only where it has stopped already.
            let _ = must_stop.send(());
            serving.await;
            reason
        }
    };
    stop_following.cancel();
    if let Some(reason) = wrong_clock {
        return Err(reason.into());
    }
    tracing::info!("billing-api ended");
    Ok(())
}

/// The channel brings the reason why this process must not go on.
fn follow_clock(
    supervisor: &Supervisor,
    follower: &ClockFollower,
    mut has_joined: bool,
    stop: &CancellationToken,
) -> mpsc::Receiver<ClockError> {
    let (wrong_clock, reason) = mpsc::channel(1);
    let (follower, stopping) = (follower.clone(), stop.clone());
    supervisor.spawn("clock follower", STALL_AFTER, stop.clone(), move |progress| {
        let (follower, wrong_clock, stopping) = (follower.clone(), wrong_clock.clone(), stopping.clone());
        // Started again, it may have been away for long.
        let is_known = std::mem::replace(&mut has_joined, false);
        async move {
            let following = follower.keep_following(is_known, || async {}, || progress.mark());
            tokio::select! {
                // Fails only where the process is stopping already.
                reason = following => { let _ = wrong_clock.send(reason).await; }
                () = stopping.cancelled() => {}
            }
            stopping.cancelled().await;
        }
    });
    reason
}

/// False while the database is away: the clock is joined as soon as it is back.
async fn join(follower: &ClockFollower) -> Result<bool, ClockError> {
    match follower.join().await {
        Ok(()) => Ok(true),
        Err(ClockError::Store(error)) => {
            tracing::debug!(%error, "the database is away");
            Ok(false)
        }
        Err(stop @ ClockError::OtherClock { .. }) => Err(stop),
    }
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    })
}
