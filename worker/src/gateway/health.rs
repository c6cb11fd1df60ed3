//! Whether a job may ask the gateway now, and what its answer says about the gateway: binding, breaker, absurd declines.

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    domain::{
        breaker::{self, BreakerState, PROBE_TAKES},
        outcome::Outcome,
    },
    queue::{Finish, JobError},
    store::{StoreError, gate, settings},
};
use sqlx::PgConnection;

use crate::env::{Env, raise_alarm};

/// A copied database asks again this much later whether an operator has re-armed it.
const BOUND_ELSEWHERE_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// From this many first tries on, a share of declines can be judged.
const TRIES_TO_JUDGE: i64 = 30;

/// Whether a job may call Toss now.
#[derive(Debug)]
pub(crate) enum Permit {
    Go(Caller),
    /// The job comes back later, for this reason.
    Later(Finish),
}

/// What a call that got through means for the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Ordinary,
    /// The one call that goes through after a pause: its failure lengthens the pause.
    Probe,
}

/// Whose call asks for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A buyer waits, and the authentication dies after ten minutes. A confirmation goes through an open breaker:
    /// its own snooze of 20 s after a failure spaces the calls, and a success closes the breaker for everybody.
    Confirmation,
    Other,
}

/// Reads the breaker and the binding, takes the probe where one is due, and waits for a turn of the rate limiter.
pub(crate) async fn check_gateway(env: &Env, purpose: Purpose) -> Result<Permit, JobError> {
    let now = env.clock.now();
    let mut conn = env.pool.acquire().await?;
    let mut status = gate::read(&mut conn).await?;
    if let (None, Some(instance)) = (&status.bound_to, &env.instance) {
        status.bound_to = gate::bind(&mut conn, instance).await?;
    }
    if let Some(finish) = bound_elsewhere(env, &status, now) {
        return Ok(Permit::Later(finish));
    }
    let caller = match (status.breaker.state(now), purpose) {
        (BreakerState::Closed, _) | (BreakerState::Open(_), Purpose::Confirmation) => Caller::Ordinary,
        (BreakerState::Open(until), Purpose::Other) => return Ok(Permit::Later(gateway_away(until, now))),
        (BreakerState::HalfOpen, _) => {
            let again_at = now + PROBE_TAKES;
            match (gate::take_probe(&mut conn, now, again_at).await?, purpose) {
                (true, _) => Caller::Probe,
                (false, Purpose::Confirmation) => Caller::Ordinary,
                (false, Purpose::Other) => return Ok(Permit::Later(gateway_away(again_at, now))),
            }
        }
    };
    drop(conn);
    env.rate_limiter.acquire(&env.pool).await?;
    Ok(Permit::Go(caller))
}

/// Spreads the retries over five seconds so that they do not arrive together.
fn gateway_away(until: DateTime<Utc>, now: DateTime<Utc>) -> Finish {
    Finish::Snooze {
        reason: "Toss does not work at present: nothing is asked, no try is spent".into(),
        run_at: until + TimeDelta::microseconds(i64::from(now.timestamp_subsec_micros()) * 5),
    }
}

/// While Toss does not work there is no use in making charge jobs, nor in comparing notes with it. Takes no probe, which is
/// money's, and no turn.
pub(crate) async fn blocked(env: &Env) -> Result<Option<Finish>, JobError> {
    let now = env.clock.now();
    let mut conn = env.pool.acquire().await?;
    let status = gate::read(&mut conn).await?;
    if let Some(finish) = bound_elsewhere(env, &status, now) {
        return Ok(Some(finish));
    }
    Ok(match status.breaker.state(now) {
        BreakerState::Closed | BreakerState::HalfOpen => None,
        BreakerState::Open(run_at) => {
            Some(Finish::Snooze { reason: "Toss does not work at present: this waits".into(), run_at })
        }
    })
}

/// A database that is bound to another installation neither charges nor mails.
pub(crate) fn bound_elsewhere(env: &Env, status: &gate::GatewayStatus, now: DateTime<Utc>) -> Option<Finish> {
    if status.bound_to.is_none() || status.bound_to == env.instance {
        return None;
    }
    raise_alarm("bound_to_another_instance");
    tracing::error!("this database is bound to another installation: `billing instance release` re-arms it");
    let reason = "this database is bound to another installation; an operator has to re-arm it".into();
    Some(Finish::Snooze { reason, run_at: now + BOUND_ELSEWHERE_PAUSE })
}

/// Remembers what an answer, or the lack of one, says about the gateway.
pub(crate) async fn record_gateway_health(
    env: &Env,
    caller: Caller,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let now = env.clock.now();
    match breaker::gateway_works(outcome) {
        None => {}
        Some(true) => {
            let mut conn = env.pool.acquire().await?;
            gate::gateway_works(&mut conn).await?;
        }
        Some(false) => {
            let mut tx = env.pool.begin().await?;
            let after = gate::gateway_failed(&mut tx, &why(outcome), caller == Caller::Probe, now).await?;
            tx.commit().await?;
            if let Some(until) = after.open_until {
                tracing::warn!(failures = after.failures, %until, "Toss does not work: the breaker is open");
            }
        }
    }
    Ok(())
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotSent(why) => why.message.clone(),
        Outcome::Unknown(doubt) => doubt.message.clone(),
        Outcome::Paid(_) | Outcome::Declined(_) | Outcome::Waiting(_) | Outcome::NoSuchOrder => String::new(),
    }
}

/// Nearly everybody declined is our fault, not theirs: charging stops until an operator has looked.
pub(crate) async fn stop_if_absurd(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    let charging = settings::charging_switch(conn).await?;
    let since = charging.since.unwrap_or_default().max(now - TimeDelta::days(1));
    let (declined, settled) = gate::first_tries_since(conn, since).await?;
    let absurd = settled >= TRIES_TO_JUDGE && declined.saturating_mul(10) >= settled.saturating_mul(9);
    if absurd && charging.enabled {
        let why = format!("{declined} of {settled} charges were declined within a day");
        settings::switch_charging(conn, false, "worker", &why, now).await?;
        raise_alarm("absurd_failure_rate");
        tracing::error!(declined, settled, "nearly every charge is declined: charging is stopped for all");
    }
    Ok(())
}
