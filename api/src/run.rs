//! The process: database, clock and address from the configuration; SIGTERM or Ctrl-C ends it.

use std::{future::Future, pin::pin};

use anyhow::Context;
use common::{
    clock::Clock,
    id::new_key,
    presence::{Presence, PresenceError},
    store,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{app::App, config::Config, serve::serve};

const CONNECTIONS: u32 = 20;

/// Runs until SIGTERM or Ctrl-C. Starts while the database is still away: `/readyz` says so.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let pool = store::pool(&config.base.database_url, CONNECTIONS).context("DATABASE_URL")?;
    let stop = stop_signal()?;
    let clock = Clock::of(config.base.clock);
    let presence = Presence::new(pool.clone(), clock.clone(), "billing-api", new_key());
    let has_entered = enter(&presence).await?;
    let app = App::new(pool, clock, config.settings).context("AUTH_JWKS_URL")?;
    let listener =
        TcpListener::bind(config.addr).await.with_context(|| format!("API_ADDR {}", config.addr))?;
    tracing::info!(address = %listener.local_addr()?, "billing-api serves");
    let mut following = presence.clone().spawn(has_entered, || async {});
    let (must_stop, stopping) = oneshot::channel();
    let serving = serve(app, listener, async move {
        tokio::select! {
            () = stop => {}
            _ = stopping => {}
        }
    });
    let mut serving = pin!(serving);
    let wrong_clock = tokio::select! {
        served = &mut serving => { served?; None }
        reason = &mut following => {
            // Fails only where it has stopped already.
            let _ = must_stop.send(());
            serving.await?;
            Some(reason?)
        }
    };
    following.abort();
    if let Err(error) = presence.leave().await {
        tracing::debug!(%error, "could not sign off");
    }
    if let Some(reason) = wrong_clock {
        return Err(reason.into());
    }
    tracing::info!("billing-api ended");
    Ok(())
}

/// False while the database is away: it is entered as soon as it is back.
async fn enter(presence: &Presence) -> Result<bool, PresenceError> {
    match presence.enter().await {
        Ok(()) => Ok(true),
        Err(PresenceError::Store(error)) => {
            tracing::debug!(%error, "the database is away");
            Ok(false)
        }
        Err(stop @ PresenceError::ClockHasMoved) => Err(stop),
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
