//! The process: database, clock and address from the configuration; SIGTERM or Ctrl-C ends it.

use std::future::Future;

use anyhow::Context;
use common::{
    clock::{Clock, TestClock},
    config::ClockKind,
    id::new_key,
    presence::Presence,
    store,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{app::App, config::Config, serve::serve};

const CONNECTIONS: u32 = 20;

/// Runs until SIGTERM or Ctrl-C. Starts while the database is still away: `/readyz` says so.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let pool = store::pool(&config.base.database_url, CONNECTIONS).context("DATABASE_URL")?;
    let stop = stop_signal()?;
    let test_clock = match config.base.clock {
        ClockKind::System => None,
        ClockKind::Test => Some(TestClock::default()),
    };
    let clock = test_clock.clone().map_or(Clock::System, Clock::Test);
    let presence = test_clock.map(|clock| Presence::new(pool.clone(), clock, "billing-api", new_key()));
    if let Some(presence) = &presence
        && let Err(error) = presence.follow().await
    {
        // Away for now: it is followed as soon as the database is back.
        tracing::debug!(%error, "the test clock could not be read");
    }
    let following = presence.clone().map(|presence| presence.spawn(|| async {}));
    let app = App::new(pool, clock, config.settings).context("AUTH_JWKS_URL")?;
    let listener =
        TcpListener::bind(config.addr).await.with_context(|| format!("API_ADDR {}", config.addr))?;
    tracing::info!(address = %listener.local_addr()?, "billing-api serves");
    serve(app, listener, stop).await?;
    if let Some(following) = following {
        following.abort();
    }
    if let Some(presence) = presence
        && let Err(error) = presence.leave().await
    {
        tracing::debug!(%error, "could not sign off");
    }
    tracing::info!("billing-api ended");
    Ok(())
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
