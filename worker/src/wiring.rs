//! Which handler runs which kind, how many at once, and what a stop does to it. The only place that knows apalis.

use std::{sync::Arc, time::Duration};

use apalis::prelude::{Monitor, WorkerBuilder};
use common::jobs::{
    ChargeSubscription, ConfirmPayment, DeleteBillingKey, DeliverEvent, EndIncompleteSubscription,
    HandleWebhook, IssueBillingKey, Job, KINDS, ReconcilePayments, RefundPayment, ScanDueSubscriptions,
    SendEmail, SendRenewalNotices,
};
use common::queue::{KindConfig, OnStop, Queue, QueueConfig};

use crate::{env::Env, handlers, money};

/// No call to Toss takes longer than 65 s, and no answer is held longer than ten minutes for a database that is away.
const STANDS_STILL: Duration = Duration::from_mins(30);
/// A day's scan of millions, a hundred days of books to compare.
const A_DAYS_WORK: Duration = Duration::from_hours(6);

/// This process's part in the queue.
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
                money::raise_alarm("job_parked");
            }
        }),
        ..QueueConfig::new(worker, now, jitter)
    };
    Queue::start(env.pool.clone(), config)
}

/// What is only told: cut off, it is told again. A slow endpoint holds up nothing but events.
fn told(kind: &'static str, limit: Duration) -> KindConfig {
    KindConfig::new(kind).concurrency(8).timeout(limit).on_stop(OnStop::HandBack)
}

/// A worker per kind, so that slow calls to Toss never hold up confirmations or e-mail.
pub(crate) fn workers(env: &Env, queue: &Queue, charges: usize) -> Monitor {
    // Money is not cut off, and its lease is kept at a stop. What stands still for so long waits for a server that is
    // gone: to drop it is what a death would be.
    let money = |kind| KindConfig::new(kind).timeout(STANDS_STILL).on_stop(OnStop::KeepLease);
    let daily = |kind| KindConfig::new(kind).concurrency(1).timeout(A_DAYS_WORK).on_stop(OnStop::HandBack);
    let (confirm, charge) =
        (money(ConfirmPayment::KIND).concurrency(16), money(ChargeSubscription::KIND).concurrency(charges));
    let refund = money(RefundPayment::KIND).concurrency(4);
    let (issue, delete) =
        (money(IssueBillingKey::KIND).concurrency(8), money(DeleteBillingKey::KIND).concurrency(2));
    let (scan, notices) = (daily(ScanDueSubscriptions::KIND), daily(SendRenewalNotices::KIND));
    // These book, but move no money: cut off, they start over.
    let books = |kind| KindConfig::new(kind).timeout(STANDS_STILL).on_stop(OnStop::HandBack);
    let end_incomplete = books(EndIncompleteSubscription::KIND).concurrency(2);
    let webhook = books(HandleWebhook::KIND).concurrency(4);
    let reconcile = daily(ReconcilePayments::KIND);
    let event = told(DeliverEvent::KIND, Duration::from_mins(1));
    let email = told(SendEmail::KIND, Duration::from_mins(2));
    macro_rules! worker {
        ($args:ty, $config:expr, $handler:path) => {{
            let (env, queue, config) = (env.clone(), queue.clone(), $config);
            move |_| {
                WorkerBuilder::new(<$args>::KIND)
                    .backend(queue.backend::<$args>(config.clone()))
                    .data(env.clone())
                    .build($handler)
            }
        }};
    }
    Monitor::new()
        .register(worker!(ConfirmPayment, confirm, handlers::confirm_payment))
        .register(worker!(ChargeSubscription, charge, handlers::charge_subscription))
        .register(worker!(RefundPayment, refund, handlers::refund_payment))
        .register(worker!(IssueBillingKey, issue, handlers::issue_billing_key))
        .register(worker!(DeleteBillingKey, delete, handlers::delete_billing_key))
        .register(worker!(EndIncompleteSubscription, end_incomplete, handlers::end_incomplete_subscription))
        .register(worker!(ScanDueSubscriptions, scan, handlers::scan_due_subscriptions))
        .register(worker!(SendRenewalNotices, notices, handlers::send_renewal_notices))
        .register(worker!(SendEmail, email, handlers::send_email))
        .register(worker!(HandleWebhook, webhook, handlers::handle_webhook))
        .register(worker!(ReconcilePayments, reconcile, handlers::reconcile_payments))
        .register(worker!(DeliverEvent, event, handlers::deliver_event))
}
