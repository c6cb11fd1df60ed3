//! The one list of jobs: kind, handler, concurrency, time limit, what a stop of the process does to a running one, and
//! whether it waits for Toss.
//!
//! Everything else derives from the list: the workers under apalis, running one job by hand in tests, the kinds that
//! this build knows, and the table of jobs in the documents. Only this file builds apalis workers; a handler
//! takes only `Data` from apalis.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Data, Monitor, WorkerBuilder};
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::domain::breaker::{BreakerState, GatewayAccount};
use common::id::new_key;
use common::jobs::{
    ChargeSubscription, CheckPaymentClaim, ConfirmPayment, DeleteBillingKey, DeliverEvent,
    EndIncompleteSubscription, HandleWebhook, IssueBillingKey, Job, ReconcilePayments, RefundPayment,
    RunBulkAction, ScanDueSubscriptions, SendEmail, SendRenewalNotices,
};
use common::queue::{
    Backoff, ClaimLimit, Claimed, Finished, JobError, KindConfig, OnStop, Queue, QueueConfig, QueueError,
    Ran, Supervisor,
};
use common::store::gate::GatewayStatus;

use crate::env::{Env, raise_alarm};
use crate::{bulk, card, charge, daily, email, events, reconcile, refund, webhook};

/// No call to Toss takes longer than 65 s. A handler that runs longer than this waits for a server that is gone: dropping it is
/// what a crash would be. One that has called Toss is not dropped: it may hold an answer that the database cannot take yet.
const MONEY_TIMEOUT: Duration = Duration::from_mins(30);
/// A day's scan of millions of subscriptions, or a hundred days of transactions to compare.
const DAILY_TIMEOUT: Duration = Duration::from_hours(6);
const EVENT_TIMEOUT: Duration = Duration::from_mins(1);
const EMAIL_TIMEOUT: Duration = Duration::from_mins(2);
const LEASE: Duration = Duration::from_mins(2);

/// How many jobs of one kind run at once in one process.
#[derive(Debug, Clone, Copy)]
enum Concurrency {
    Fixed(usize),
    /// `CHARGE_CONCURRENCY`.
    Charges,
}

impl Concurrency {
    fn resolve(self, charges: usize) -> usize {
        match self {
            Self::Fixed(count) => count,
            Self::Charges => charges,
        }
    }
}

/// Whether jobs of a kind stay unclaimed while the circuit breaker is open: each would only be put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Each of them calls Toss first of all, with the keys of one of these accounts, except under its open breaker.
    Gateway(&'static [GatewayAccount]),
    /// They do something else, or call Toss under an open breaker, too.
    Nothing,
}

/// One line of the list, as documents show it.
#[derive(Debug, Clone, Copy)]
pub struct JobSpec {
    pub kind: &'static str,
    /// `None` is `CHARGE_CONCURRENCY`.
    pub concurrency: Option<usize>,
    pub timeout: Duration,
    pub on_stop: OnStop,
    pub needs: Needs,
}

/// `job: handler, concurrency, time limit, behaviour at a stop, needs`.
macro_rules! job_list {
    ($($job:ident: $handler:path, $concurrency:expr, $timeout:expr, $on_stop:expr, $needs:expr;)*) => {
        /// Every kind that this build handles.
        pub const KINDS: &[&str] = &[$(<$job as Job>::KIND),*];

        /// The list, in its order.
        pub const JOBS: &[JobSpec] = &[$(JobSpec {
            kind: <$job as Job>::KIND,
            concurrency: match $concurrency { Concurrency::Fixed(count) => Some(count), Concurrency::Charges => None },
            timeout: $timeout,
            on_stop: $on_stop,
            needs: $needs,
        }),*];

        /// A worker per kind, so that slow calls to Toss never hold up confirmations or e-mails.
        pub(crate) fn workers(env: &Env, queue: &Queue, charges: usize) -> Monitor {
            let monitor = Monitor::new();
            $(let monitor = {
                let (env, queue) = (env.clone(), queue.clone());
                let config = KindConfig::new(<$job as Job>::KIND)
                    .concurrency($concurrency.resolve(charges))
                    .timeout($timeout)
                    .on_stop($on_stop);
                monitor.register(move |_| {
                    WorkerBuilder::new(<$job as Job>::KIND)
                        .backend(queue.backend::<$job>(config.clone()))
                        .data(env.clone())
                        .build($handler)
                })
            };)*
            monitor
        }

        async fn call(env: &Env, claimed: Claimed) -> Result<Ran, JobError> {
            let (lease, data) = (claimed.lease(), Data::new(env.clone()));
            match claimed.kind.as_str() {
                $(<$job as Job>::KIND => $handler(serde_json::from_value::<$job>(claimed.args)?, lease, data).await,)*
                other => Err(JobError::new(format!("no handler for {other}"))),
            }
        }
    };
}

use GatewayAccount::{Billing, Widget};

// Jobs that move money are never cut off: they keep their lease at a stop. The others start over when they are cut off.
job_list! {
    ConfirmPayment: charge::confirm_payment, Concurrency::Fixed(16), MONEY_TIMEOUT, OnStop::KeepLease, Needs::Nothing;
    ChargeSubscription: charge::charge_subscription, Concurrency::Charges, MONEY_TIMEOUT, OnStop::KeepLease, Needs::Gateway(&[Billing]);
    RefundPayment: refund::refund_payment, Concurrency::Fixed(4), MONEY_TIMEOUT, OnStop::KeepLease, Needs::Gateway(&[Billing, Widget]);
    IssueBillingKey: card::issue_billing_key, Concurrency::Fixed(8), MONEY_TIMEOUT, OnStop::KeepLease, Needs::Gateway(&[Billing]);
    CheckPaymentClaim: charge::claim::check_payment_claim, Concurrency::Fixed(2), MONEY_TIMEOUT, OnStop::KeepLease, Needs::Gateway(&[Billing, Widget]);
    DeleteBillingKey: card::deletion::delete_billing_key, Concurrency::Fixed(2), MONEY_TIMEOUT, OnStop::KeepLease, Needs::Gateway(&[Billing]);
    EndIncompleteSubscription: charge::end_incomplete::end_incomplete_subscription, Concurrency::Fixed(2), MONEY_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    ScanDueSubscriptions: daily::scan_due_subscriptions, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    SendRenewalNotices: daily::renewal_notices::send_renewal_notices, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    ReconcilePayments: reconcile::reconcile_payments, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    RunBulkAction: bulk::run_bulk_action, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    HandleWebhook: webhook::handle_webhook, Concurrency::Fixed(4), MONEY_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    SendEmail: email::send_email, Concurrency::Fixed(8), EMAIL_TIMEOUT, OnStop::HandBack, Needs::Nothing;
    DeliverEvent: events::deliver_event, Concurrency::Fixed(8), EVENT_TIMEOUT, OnStop::HandBack, Needs::Nothing;
}

/// Starts this process's part in the queue.
pub(crate) fn start(env: &Env, supervisor: &Supervisor) -> Queue {
    let worker = format!("worker-{}", new_key().simple());
    let clock = env.clock.clone();
    let now = Arc::new(move || clock.now());
    let jitter = Arc::new(|| rand::random_range(0.0..1.0));
    let config = QueueConfig {
        lease: Duration::from_secs(30),
        poll_interval: poll_interval(&env.clock),
        known_kinds: KINDS.to_vec(),
        supervisor: supervisor.clone(),
        on_rescue: Arc::new(|job| {
            if job.parked {
                raise_alarm("job_parked");
            }
        }),
        ..QueueConfig::new(worker, now, jitter)
    };
    Queue::start(env.pool.clone(), config)
}

/// A moved clock makes jobs due without a NOTIFY: look sooner then.
fn poll_interval(clock: &Clock) -> Duration {
    match clock {
        Clock::System | Clock::Standing(_) => Duration::from_secs(2),
        Clock::Test(_) => Duration::from_millis(300),
    }
}

/// Keeps jobs that need Toss in the table while its breaker is open. When its pause is over, one of each kind is claimed:
/// the first to call is the probe.
pub(crate) fn limit_claims(queue: &Queue, status: &GatewayStatus, now: DateTime<Utc>) {
    for job in JOBS {
        if let Needs::Gateway(accounts) = job.needs {
            let breakers = accounts.iter().map(|account| status.breaker(*account).state(now));
            queue.limit_claims(job.kind, claim_limit(breakers));
        }
    }
}

/// The limit for a kind whose jobs call one of several accounts. One account that is left alone stops no job of another: a
/// job of its own is put off, once, until its pause is over.
fn claim_limit(breakers: impl Iterator<Item = BreakerState>) -> ClaimLimit {
    let limits = breakers.map(|state| match state {
        BreakerState::Closed => ClaimLimit::All,
        BreakerState::HalfOpen => ClaimLimit::One,
        BreakerState::Open(_) => ClaimLimit::Nothing,
    });
    let widest = limits.reduce(|one, other| match (one, other) {
        (ClaimLimit::All, _) | (_, ClaimLimit::All) => ClaimLimit::All,
        (ClaimLimit::One, _) | (_, ClaimLimit::One) => ClaimLimit::One,
        (ClaimLimit::Nothing, ClaimLimit::Nothing) => ClaimLimit::Nothing,
    });
    widest.unwrap_or(ClaimLimit::All)
}

/// Runs one due job of any kind by hand, with no background task. Returns `None` when nothing is due.
pub async fn run_one(env: &Env, worker: &str) -> Result<Option<Finished>, QueueError> {
    let claimed = common::queue::claim(&env.pool, KINDS, 1, LEASE, worker, env.clock.now()).await?;
    match claimed.into_iter().next() {
        Some(claimed) => run_claimed(env, claimed).await.map(Some),
        None => Ok(None),
    }
}

/// Runs a claimed job by hand and writes its result: the same handlers and the same rows as under apalis.
pub async fn run_claimed(env: &Env, claimed: Claimed) -> Result<Finished, QueueError> {
    let lease = claimed.lease();
    let traceparent = lease.trace_context().map(str::to_owned);
    let answer = common::queue::caused_by(traceparent, Box::pin(call(env, claimed))).await;
    let mut conn = env.pool.acquire().await?;
    common::queue::settle(&mut conn, &lease, answer, Backoff::default(), env.clock.now(), 0.5).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_is_left_alone_stops_no_other() {
        use BreakerState::{Closed, HalfOpen, Open};
        let open = Open(DateTime::UNIX_EPOCH);
        for (states, limit) in [
            ([Closed, open], ClaimLimit::All),
            ([open, Closed], ClaimLimit::All),
            ([HalfOpen, open], ClaimLimit::One),
            ([open, open], ClaimLimit::Nothing),
        ] {
            assert_eq!(claim_limit(states.into_iter()), limit, "{states:?}");
        }
    }
}
