//! The worker as a whole: starts its parts, waits for the signal, finishes what is running.

use std::{pin::pin, time::Duration};

use anyhow::Context;
use common::clock::Clock;
use common::clock_follower::{ClockError, ClockFollower};
use common::queue::{Stopped, Supervisor};
use common::store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::config::Config;
use crate::env::{Env, Parts};
use crate::http::HealthPort;
use crate::jobs;

/// Longer than the longest call to Toss, so that a running charge is finished.
const STOP_WITHIN: Duration = Duration::from_secs(80);

/// Runs until `signal`. The database may be away at the start and at any time later.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    signal: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.addr)
        .await
        .with_context(|| format!("WORKER_ADDR {} cannot be listened on", config.addr))?;
    let schedule = config.schedule.clone();
    let charges = config.charge_concurrency;
    let stop_delay = config.base.stop_delay;
    let env = environment(config)?;
    let supervisor = Supervisor::default();
    let port = HealthPort::open(listener, env.pool.clone(), metrics.clone(), supervisor.clone(), stop_delay);
    let mut signal = pin!(signal);
    let follower = ClockFollower::new(env.pool.clone(), env.clock.clone());
    // No job is touched before it is certain that this process may.
    tokio::select! {
        joined = follower.join_when_possible() => joined?,
        () = &mut signal => return Ok(()),
    }
    let queue = jobs::start(&env, &supervisor);
    let background = Background {
        env: env.clone(),
        queue: queue.clone(),
        schedule,
        supervisor,
        stop: CancellationToken::new(),
    };
    let mut wrong_clock = background.start(metrics, follower);
    tracing::info!("ready");
    let mut reason = None;
    let stop = async {
        tokio::select! { () = &mut signal => port.drain(), wrong = wrong_clock.recv() => reason = wrong }
    };
    let stopped = queue.run(jobs::workers(&env, &queue, charges), stop, STOP_WITHIN).await;
    background.stop.cancel();
    port.close().await;
    ended_well(&stopped?, reason)
}

fn ended_well(stopped: &Stopped, wrong_clock: Option<ClockError>) -> anyhow::Result<()> {
    anyhow::ensure!(
        stopped.still_running.is_empty(),
        "jobs still running at the stop: {:?}",
        stopped.still_running
    );
    if let Some(reason) = wrong_clock {
        return Err(reason.into());
    }
    tracing::info!("stopped");
    Ok(())
}

fn environment(config: Config) -> anyhow::Result<Env> {
    let connections = u32::try_from(config.charge_concurrency).unwrap_or(u32::MAX).saturating_add(24);
    Ok(Env::new(Parts {
        pool: store::pool(&config.base.database_url, connections).context("DATABASE_URL")?,
        clock: Clock::of(config.base.clock),
        toss: config.toss,
        rate_limiter: config.rate_limiter,
        sealer: config.sealer,
        brand: config.brand,
        dunning: config.dunning,
        charge_time: config.charge_time,
        mailer: config.mailer,
        endpoint: config.endpoint,
        instance: config.instance,
    }))
}
