//! The one list of jobs: kind, handler, concurrency, time limit, and what a stop of the process does to a running one.
//!
//! Everything else derives from the list: the workers under apalis, running one job by hand in tests, the kinds that
//! this build knows, and the table of jobs in the documents. Only this file of the worker knows apalis.

use std::{sync::Arc, time::Duration};

use apalis::prelude::{Data, Monitor, WorkerBuilder};
use common::jobs::{
    ChargeSubscription, ConfirmPayment, DeleteBillingKey, DeliverEvent, EndIncompleteSubscription,
    HandleWebhook, IssueBillingKey, Job, ReconcilePayments, RefundPayment, ScanDueSubscriptions, SendEmail,
    SendRenewalNotices,
};
use common::queue::{
    Backoff, Claimed, Finished, JobError, KindConfig, OnStop, Queue, QueueConfig, QueueError, Ran,
};

use crate::{
    card, charge, daily, email,
    env::{Env, raise_alarm},
    events, reconcile, refund, webhook,
};

/// No call to Toss takes longer than 65 s, and no answer is held longer than ten minutes for a database that is away.
/// A handler that runs longer than this waits for a server that is gone: dropping it is what a crash would be.
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

/// One line of the list, as documents show it.
#[derive(Debug, Clone, Copy)]
pub struct JobSpec {
    pub kind: &'static str,
    /// `None` is `CHARGE_CONCURRENCY`.
    pub concurrency: Option<usize>,
    pub timeout: Duration,
    pub on_stop: OnStop,
}

/// `job: handler, concurrency, time limit, behaviour at a stop`.
macro_rules! job_list {
    ($($job:ident: $handler:path, $concurrency:expr, $timeout:expr, $on_stop:expr;)*) => {
        /// Every kind that this build handles.
        pub const KINDS: &[&str] = &[$(<$job as Job>::KIND),*];

        /// The list, in its order.
        pub const JOBS: &[JobSpec] = &[$(JobSpec {
            kind: <$job as Job>::KIND,
            concurrency: match $concurrency { Concurrency::Fixed(count) => Some(count), Concurrency::Charges => None },
            timeout: $timeout,
            on_stop: $on_stop,
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

// Jobs that move money are never cut off: they keep their lease at a stop. The others start over when they are cut off.
job_list! {
    ConfirmPayment: charge::confirm_payment, Concurrency::Fixed(16), MONEY_TIMEOUT, OnStop::KeepLease;
    ChargeSubscription: charge::charge_subscription, Concurrency::Charges, MONEY_TIMEOUT, OnStop::KeepLease;
    RefundPayment: refund::refund_payment, Concurrency::Fixed(4), MONEY_TIMEOUT, OnStop::KeepLease;
    IssueBillingKey: card::issue_billing_key, Concurrency::Fixed(8), MONEY_TIMEOUT, OnStop::KeepLease;
    DeleteBillingKey: card::deletion::delete_billing_key, Concurrency::Fixed(2), MONEY_TIMEOUT, OnStop::KeepLease;
    EndIncompleteSubscription: charge::end_incomplete::end_incomplete_subscription, Concurrency::Fixed(2), MONEY_TIMEOUT, OnStop::HandBack;
    ScanDueSubscriptions: daily::scan_due_subscriptions, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack;
    SendRenewalNotices: daily::renewal_notices::send_renewal_notices, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack;
    ReconcilePayments: reconcile::reconcile_payments, Concurrency::Fixed(1), DAILY_TIMEOUT, OnStop::HandBack;
    HandleWebhook: webhook::handle_webhook, Concurrency::Fixed(4), MONEY_TIMEOUT, OnStop::HandBack;
    SendEmail: email::send_email, Concurrency::Fixed(8), EMAIL_TIMEOUT, OnStop::HandBack;
    DeliverEvent: events::deliver_event, Concurrency::Fixed(8), EVENT_TIMEOUT, OnStop::HandBack;
}

/// Starts this process's part in the queue.
pub(crate) fn start(env: &Env, worker: String, poll: Duration) -> std::io::Result<Queue> {
    let clock = env.clock.clone();
    let now = Arc::new(move || clock.now());
    let jitter = Arc::new(|| rand::random_range(0.0..1.0));
    let config = QueueConfig {
        lease: Duration::from_secs(30),
        poll_interval: poll,
        known_kinds: KINDS.to_vec(),
        on_rescue: Arc::new(|job| {
            if job.parked {
                raise_alarm("job_parked");
            }
        }),
        ..QueueConfig::new(worker, now, jitter)
    };
    Queue::start(env.pool.clone(), config)
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
