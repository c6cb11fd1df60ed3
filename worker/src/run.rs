//! The worker as a whole: starts its parts, waits for the signal, finishes what is in hand.

use std::{pin::pin, time::Duration};

use anyhow::Context;
use common::queue::{Queue, Stopped};
use common::{
    clock::Clock,
    id::new_key,
    presence::{Presence, PresenceError},
    store,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_cron_scheduler::JobScheduler;

use crate::{
    config::Config,
    env::{Env, Parts},
    http, jobs, maintenance,
    scheduler::{self, Schedule},
    sweep,
};

/// Longer than the longest call to Toss, so that a charge in hand is finished.
const STOP_WITHIN: Duration = Duration::from_secs(80);
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Longer than it takes to spread a new price over a million subscriptions; a server that is gone is not waited for.
const LOOKS_FOR: Duration = Duration::from_mins(30);

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
    let env = environment(config)?;
    let serving =
        tokio::spawn(axum::serve(listener, http::router(env.pool.clone(), metrics.clone())).into_future());
    let mut signal = pin!(signal);
    let presence = Presence::new(env.pool.clone(), env.clock.clone(), "billing-worker", new_key());
    // No job is touched before it is certain that this process may.
    tokio::select! {
        entered = presence.enter_when_possible() => entered?,
        () = &mut signal => return Ok(()),
    }
    let name = format!("worker-{}", new_key().simple());
    let queue = jobs::start(&env, name, poll_interval(&env.clock))?;
    let mut following = follow_clock(&env, presence.clone(), &queue, &schedule).await;
    let ticking = scheduler::start(&env, &schedule).await?;
    let looking = tokio::spawn(maintenance_loop(env.clone(), schedule, metrics));
    tracing::info!("ready");
    let mut wrong_clock = None;
    let stop = async {
        tokio::select! {
            () = &mut signal => {}
            reason = &mut following => wrong_clock = Some(reason),
        }
    };
    let stopped = queue.run(jobs::workers(&env, &queue, charges), stop, STOP_WITHIN).await;
    end(ticking, [looking, tokio::spawn(async move { drop(serving.await) })], (presence, following)).await;
    ended_well(&stopped?, wrong_clock.transpose()?)
}

fn ended_well(stopped: &Stopped, wrong_clock: Option<PresenceError>) -> anyhow::Result<()> {
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

/// A moved clock makes jobs due without a NOTIFY: look sooner then.
fn poll_interval(clock: &Clock) -> Duration {
    match clock {
        Clock::System | Clock::Standing(_) => Duration::from_secs(2),
        Clock::Test(_) => Duration::from_millis(300),
    }
}

/// Under a test clock: the sandbox moves with us, and what has become due starts at once.
async fn follow_clock(
    env: &Env,
    presence: Presence,
    queue: &Queue,
    schedule: &Schedule,
) -> JoinHandle<PresenceError> {
    if matches!(env.clock, Clock::Test(_)) {
        move_sandbox(env).await;
    }
    let (env, queue, schedule) = (env.clone(), queue.clone(), schedule.clone());
    presence.spawn(true, move || {
        let (env, queue, schedule) = (env.clone(), queue.clone(), schedule.clone());
        async move {
            move_sandbox(&env).await;
            look(&env, &schedule).await;
            queue.wake();
        }
    })
}

async fn move_sandbox(env: &Env) {
    if let Err(error) = env.toss.set_sandbox_clock(env.clock.now()).await {
        tracing::debug!(%error, "the gateway does not follow the test clock");
    }
}

/// Daily runs that are due and unfinished work that has lost its job: found at the start and again and again.
async fn look(env: &Env, schedule: &Schedule) {
    if let Err(error) = scheduler::catch_up(env, schedule).await {
        tracing::warn!(%error, "the daily runs could not be enqueued; tried again soon");
    }
    if let Err(error) = sweep::announce_endpoint(env).await {
        tracing::warn!(%error, "it could not be said where events go; tried again soon");
    }
    if let Err(error) = sweep::show_breaker(env).await {
        tracing::debug!(%error, "the breaker could not be read");
    }
    if let Err(error) = sweep::sweep(env).await {
        tracing::warn!(%error, "the sweep failed; tried again soon");
    }
}

async fn maintenance_loop(env: Env, schedule: Schedule, metrics: PrometheusHandle) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        tick.tick().await;
        // Nobody may be asking for them, and histograms keep every observation until they are tidied.
        metrics.run_upkeep();
        if tokio::time::timeout(LOOKS_FOR, look(&env, &schedule)).await.is_err() {
            tracing::warn!("looking for unfinished work took too long; tried again soon");
        }
        looks = looks.wrapping_add(1);
        // Once an hour.
        if looks.is_multiple_of(240)
            && let Err(error) = maintenance::delete_expired(&env).await
        {
            tracing::warn!(%error, "expired rows could not be deleted; tried again in an hour");
        }
    }
}

async fn end(
    mut ticking: JobScheduler,
    tasks: [JoinHandle<()>; 2],
    (presence, following): (Presence, JoinHandle<PresenceError>),
) {
    if let Err(error) = ticking.shutdown().await {
        tracing::debug!(%error, "the scheduler did not stop in order");
    }
    tasks.iter().for_each(JoinHandle::abort);
    following.abort();
    if let Err(error) = presence.leave().await {
        tracing::debug!(%error, "this process could not say that it leaves");
    }
}
