//! Whether a job may ask the gateway now, and what its answer says about the gateway: binding, breaker, absurd declines.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::breaker;
use common::domain::breaker::{BreakerState, GatewayAccount, PROBE_TAKES};
use common::domain::outcome::Outcome;
use common::domain::payment::Payment;
use common::queue::{Finish, JobError, Ran};
use common::store::gate::Lane;
use common::store::{StoreError, gate, settings};
use sqlx::PgConnection;
use uuid::Uuid;

use super::merchant;
use super::reads::gateway_account_of;
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
    Probe(Probe),
    /// None is to be made: the job has no turn.
    Idle,
}

/// A probe that was taken. No other caller of its account goes through until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    account: GatewayAccount,
    until: DateTime<Utc>,
}

/// The call that a job is about to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) account: GatewayAccount,
    pub(crate) lane: Lane,
    /// A buyer waits, and the authentication dies after ten minutes. A confirmation goes through an open breaker:
    /// its own snooze of 20 s after a failure spaces the calls, and a success closes the breaker for everybody.
    buyer_waits: bool,
    /// Nothing is to be asked.
    is_idle: bool,
}

impl Call {
    pub(crate) const CONFIRMATION: Self =
        Self { account: GatewayAccount::Widget, lane: Lane::Confirmation, buyer_waits: true, is_idle: false };
    pub(crate) const CHARGE: Self =
        Self { account: GatewayAccount::Billing, lane: Lane::Charge, buyer_waits: false, is_idle: false };
    /// The customer waits for the card, but its one-time key does not die at once.
    pub(crate) const CARD: Self = Self {
        account: GatewayAccount::Billing,
        lane: Lane::Confirmation,
        buyer_waits: false,
        is_idle: false,
    };
    pub(crate) const KEY_DELETION: Self =
        Self { account: GatewayAccount::Billing, lane: Lane::LookUp, buyer_waits: false, is_idle: false };

    /// A refund is made with the account of its payment.
    pub(crate) fn refund(account: GatewayAccount) -> Self {
        Self { account, lane: Lane::Refund, buyer_waits: false, is_idle: false }
    }

    /// A look-up that an operator asked for.
    pub(crate) fn look_up(account: GatewayAccount) -> Self {
        Self { account, lane: Lane::LookUp, buyer_waits: false, is_idle: false }
    }

    /// The lane of its look-up. That of a buyer who waits keeps its own.
    pub(crate) fn lane_of_look_up(self) -> Lane {
        if self.buyer_waits { self.lane } else { Lane::LookUp }
    }

    /// The same, where nothing is to be asked: it takes no probe, which is money's.
    pub(crate) fn as_idle(self) -> Self {
        Self { is_idle: true, ..self }
    }
}

/// Reads the breaker and the binding, takes the probe where one is due, and waits for a turn of the rate limiter.
pub(crate) async fn check_gateway(env: &Env, call: Call) -> Result<Permit, JobError> {
    let permit = permit(env, call).await?;
    if let Permit::Go(caller) = permit
        && let Err(error) = env.rate_limiter.acquire(&env.pool, call.lane).await
    {
        give_back(env, caller).await;
        return Err(error.into());
    }
    Ok(permit)
}

/// Whether this status allows the call as it is. None: [`permit`] has something to write first, or to ask, or refuses.
pub(crate) fn allowed(
    env: &Env,
    status: &gate::GatewayStatus,
    call: Call,
    now: DateTime<Utc>,
) -> Option<Caller> {
    let is_to_be_bound = status.bound_to.is_none() && env.instance.is_some();
    if is_to_be_bound || !is_bound_here(env, status) {
        return None;
    }
    match status.breaker(call.account).state(now) {
        _ if call.is_idle => Some(Caller::Idle),
        BreakerState::Closed => Some(Caller::Ordinary),
        BreakerState::HalfOpen | BreakerState::Open(_) => None,
    }
}

/// As [`bound_elsewhere`]. Asks Toss first where the secret key is new, because a change of keys must stop nothing.
async fn check_binding(
    env: &Env,
    conn: &mut PgConnection,
    status: &mut gate::GatewayStatus,
    now: DateTime<Utc>,
) -> Result<Option<Finish>, JobError> {
    if let Some(fingerprint) = unknown_key(env, status) {
        match merchant::is_same(env, conn, fingerprint).await? {
            Some(true) => status.known_keys.push(fingerprint.to_owned()),
            Some(false) => {}
            None => {
                let reason = "the secret key is new, and Toss could not be asked whose it is".into();
                return Ok(Some(Finish::Snooze { reason, run_at: now + TimeDelta::minutes(1) }));
            }
        }
    }
    Ok(bound_elsewhere(env, status, now))
}

/// Accepts a new secret key of the same merchant at the start, so that e-mails and events do not wait for the next charge.
pub(crate) async fn accept_own_key(env: &Env) -> Result<(), JobError> {
    let mut conn = env.pool.acquire().await?;
    let mut status = gate::read(&mut conn).await?;
    check_binding(env, &mut conn, &mut status, env.clock.now()).await.map(drop)
}

/// Reads the breaker and the binding, and takes the probe where one is due. Not within a transaction: it may ask Toss whose a
/// new secret key is, and the probe is taken for all at once.
pub(crate) async fn permit(env: &Env, call: Call) -> Result<Permit, JobError> {
    let mut conn = env.pool.acquire().await?;
    let mut status = gate::read(&mut conn).await?;
    let now = env.clock.now();
    if let (None, Some(instance)) = (&status.bound_to, &env.instance) {
        status.bound_to = gate::bind(&mut conn, instance).await?;
    }
    if let Some(finish) = check_binding(env, &mut conn, &mut status, now).await? {
        return Ok(Permit::Later(finish));
    }
    if call.is_idle {
        return Ok(Permit::Go(Caller::Idle));
    }
    let caller = match (status.breaker(call.account).state(now), call.buyer_waits) {
        (BreakerState::Closed, _) | (BreakerState::Open(_), true) => Caller::Ordinary,
        (BreakerState::Open(until), false) => return Ok(Permit::Later(gateway_away(until, now))),
        (BreakerState::HalfOpen, _) => {
            let probe = Probe { account: call.account, until: now + PROBE_TAKES };
            match (gate::take_probe(&mut conn, probe.account, now, probe.until).await?, call.buyer_waits) {
                (true, _) => Caller::Probe(probe),
                (false, true) => Caller::Ordinary,
                (false, false) => return Ok(Permit::Later(gateway_away(probe.until, now))),
            }
        }
    };
    Ok(Permit::Go(caller))
}

/// Does `work` where Toss may be called. A probe that it leaves without an answer, however it ends, is given back.
pub(crate) async fn when_permitted<Work>(
    env: &Env,
    permit: Permit,
    work: impl FnOnce(Caller) -> Work,
) -> Result<Ran, JobError>
where
    Work: Future<Output = Result<Ran, JobError>>,
{
    let caller = match permit {
        Permit::Go(caller) => caller,
        Permit::Later(finish) => return Ok(Ran::Finish(finish)),
    };
    let ran = work(caller).await;
    give_back(env, caller).await;
    ran
}

/// Another job may ask at once. Changes nothing where the probe's answer was recorded.
pub(crate) async fn give_back(env: &Env, caller: Caller) {
    let Caller::Probe(probe) = caller else { return };
    let given_back = async {
        let mut conn = env.pool.acquire().await?;
        gate::give_probe_back(&mut conn, probe.account, probe.until, env.clock.now()).await
    };
    if let Err(error) = given_back.await {
        tracing::warn!(%error, "a probe that nobody needs was not given back");
    }
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
pub(crate) async fn blocked(env: &Env, account: GatewayAccount) -> Result<Option<Finish>, JobError> {
    let now = env.clock.now();
    let mut conn = env.pool.acquire().await?;
    let mut status = gate::read(&mut conn).await?;
    if let Some(finish) = check_binding(env, &mut conn, &mut status, now).await? {
        return Ok(Some(finish));
    }
    Ok(match status.breaker(account).state(now) {
        BreakerState::Closed | BreakerState::HalfOpen => None,
        BreakerState::Open(run_at) => {
            Some(Finish::Snooze { reason: "Toss does not work at present: this waits".into(), run_at })
        }
    })
}

pub(crate) fn is_bound_here(env: &Env, status: &gate::GatewayStatus) -> bool {
    match (&status.bound_to, &env.instance) {
        (None, _) => true,
        (Some(bound), Some(ours)) => {
            let is_known = bound.merchant == ours.merchant || status.known_keys.contains(&ours.merchant);
            bound.id == ours.id && is_known
        }
        (Some(_), None) => false,
    }
}

/// The fingerprint of our secret key, where the installation is ours and the key is another than before.
fn unknown_key<'a>(env: &'a Env, status: &gate::GatewayStatus) -> Option<&'a str> {
    let ours = env.instance.as_ref()?;
    let is_ours = status.bound_to.as_ref().is_some_and(|bound| bound.id == ours.id);
    (is_ours && !is_bound_here(env, status)).then_some(ours.merchant.as_str())
}

/// A database that is bound to another installation neither charges nor mails.
pub(crate) fn bound_elsewhere(env: &Env, status: &gate::GatewayStatus, now: DateTime<Utc>) -> Option<Finish> {
    if is_bound_here(env, status) {
        return None;
    }
    raise_alarm("bound_to_another_instance");
    tracing::error!("this database is bound to another installation: `billing instance release` re-arms it");
    let reason = "this database is bound to another installation; an operator has to re-arm it".into();
    Some(Finish::Snooze { reason, run_at: now + BOUND_ELSEWHERE_PAUSE })
}

/// What an answer, or the lack of one, says about the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign<'a> {
    pub(crate) account: GatewayAccount,
    /// The subscription that the call was for.
    pub(crate) subject: Uuid,
    /// None: it says nothing.
    pub(crate) works: Option<bool>,
    pub(crate) why: &'a str,
    pub(crate) retry_after: Option<Duration>,
}

impl Sign<'_> {
    /// It works, and wants no pause: there is something to write only where failures are on record.
    pub(crate) fn is_good_news(&self) -> bool {
        self.works == Some(true) && self.retry_after.is_none()
    }
}

/// Records what an answer says about the gateway. The answer itself matters more: a failure is only logged.
pub(crate) async fn record_gateway_health(env: &Env, caller: Caller, sign: Sign<'_>) {
    if let Err(error) = write_gateway_health(env, caller, sign).await {
        tracing::warn!(%error, "what the answer says about the gateway was not kept");
    }
}

async fn write_gateway_health(env: &Env, caller: Caller, sign: Sign<'_>) -> Result<(), StoreError> {
    let now = env.clock.now();
    env.rate_limiter.put_off(&env.pool, sign.retry_after).await;
    match sign.works {
        None => {}
        Some(true) => {
            let mut conn = env.pool.acquire().await?;
            gate::gateway_works(&mut conn, sign.account).await?;
        }
        Some(false) => {
            let Sign { account, subject, why, .. } = sign;
            let is_probe = matches!(caller, Caller::Probe(probe) if probe.account == account);
            let mut tx = env.pool.begin().await?;
            let failure = gate::Failure { account, subject, why, is_probe };
            let after = gate::gateway_failed(&mut tx, failure, now).await?;
            tx.commit().await?;
            if let Some(until) = after.open_until {
                tracing::warn!(%account, failures = after.failures, %until, "Toss does not work: the breaker is open");
            }
        }
    }
    Ok(())
}

/// What the outcome of a charge says about the gateway.
pub(crate) fn sign_of<'a>(payment: &Payment, outcome: &'a Outcome) -> Sign<'a> {
    let (why, retry_after) = match outcome {
        Outcome::NotSent(why) => (why.message.as_str(), why.retry_after),
        Outcome::Unknown(doubt) => (doubt.message.as_str(), doubt.retry_after),
        Outcome::Paid(_) | Outcome::Declined(_) | Outcome::Waiting(_) | Outcome::NoSuchOrder => ("", None),
    };
    Sign {
        account: gateway_account_of(payment.kind),
        subject: payment.subscription_id,
        works: breaker::gateway_works(outcome),
        why,
        retry_after,
    }
}

/// Nearly everybody declined is our fault, not theirs: charging stops until an operator has looked.
pub(crate) async fn stop_if_absurd(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    let charging = settings::charging_switch(conn).await?;
    let since = charging.since.unwrap_or_default().max(now - TimeDelta::days(1));
    let (declined, settled) = gate::first_tries_since(conn, since).await?;
    let absurd = settled >= TRIES_TO_JUDGE && declined.saturating_mul(10) >= settled.saturating_mul(9);
    if absurd && charging.enabled {
        let why = format!("{declined} of the last {settled} first charges were declined");
        settings::switch_charging(conn, false, "worker", &why, now).await?;
        raise_alarm("absurd_failure_rate");
        tracing::error!(declined, settled, "nearly every charge is declined: charging is stopped for all");
    }
    Ok(())
}
