//! One step of one invoice: decide under lock, commit the intent, ask the gateway, record what it said.
//!
//! What a death leaves behind, line by line: before the intent's commit, nothing; between it and the call, an attempt
//! that looks sent, so it is looked up, found unknown to the gateway and sent again under its own name; during the
//! call or before the outcome's commit, the same, and the look-up finds the money or its absence; after that commit,
//! nothing is left to do, because the job's own end was part of it.

use chrono::{DateTime, TimeDelta, Utc};
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    commands::settle_change::settle_change,
    domain::{
        charge::Decision,
        invoice::{Invoice, InvoiceStatus, due_periods},
        payment::{Payment, PaymentKind, PaymentStatus, renewal_order_id},
        subscription::{Subscription, SubscriptionStatus},
    },
    id::{new_id, new_key, subscription_ref},
    jobs::{self, ChargeSubscription},
    store::{invoices, payments},
};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{ask, decline, facts::Locked, gate, letters::plan_name, look_up::look_up, new_card, record};
use crate::{crash, env::Env};

type Tx = Transaction<'static, Postgres>;

/// How long a job waits when an operator has stopped charging.
const PAUSE: TimeDelta = TimeDelta::minutes(10);

/// Moves one invoice on by at most one call for money.
#[tracing::instrument(name = "money.advance", skip_all,
    fields(subscription.id = %subscription_ref(subscription_id), invoice.id = %invoice_id, payment.id))]
pub(crate) async fn advance(
    env: &Env,
    lease: &Lease,
    subscription_id: Uuid,
    invoice_id: Uuid,
) -> Result<Ran, JobError> {
    if let Some(finish) = gate::closed(env).await? {
        return Ok(Ran::Finish(finish));
    }
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    let Some(locked) = Locked::read(&mut tx, subscription_id, invoice_id).await? else {
        return Ok(Ran::Finish(Finish::Discard("the subscription or its invoice does not exist".into())));
    };
    match locked.decide(now) {
        Decision::Charge => {
            let attempt = new_attempt(&locked, PaymentKind::Renewal, now);
            payments::insert(&mut tx, &attempt).await?;
            send(env, lease, tx, &locked.subscription, &attempt, false).await
        }
        Decision::Send(id) => {
            let sent = named(&locked, id)?.as_sent(now);
            payments::mark_sent(&mut tx, id, now).await?;
            send(env, lease, tx, &locked.subscription, &sent, false).await
        }
        Decision::LookUp(id) => {
            drop(tx);
            look_up(env, lease, &locked.subscription, named(&locked, id)?).await
        }
        Decision::Skip(reason) => decline::skip_step(env, lease, tx, &locked, reason).await,
        Decision::Void => void(env, lease, tx, &locked, now).await,
        Decision::Hold => {
            hold(env, lease, tx, &locked, "its period was over before it could be sent", now).await
        }
        Decision::NotYet(at) => Ok(Ran::Finish(Finish::Snooze { reason: "not due yet".into(), run_at: at })),
        Decision::Paused => {
            let reason = "charging is stopped by an operator".into();
            Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + PAUSE }))
        }
        Decision::Nothing(why) => Ok(Ran::Finish(Finish::Discard(why.into()))),
    }
}

fn named(locked: &Locked, id: Uuid) -> Result<&Payment, JobError> {
    locked.attempt(id).ok_or_else(|| JobError::new("the decision names an attempt that is not there"))
}

pub(super) fn new_attempt(locked: &Locked, kind: PaymentKind, now: DateTime<Utc>) -> Payment {
    let Locked { subscription, invoice, attempts, .. } = locked;
    let attempt_no = i32::try_from(attempts.len()).unwrap_or(i32::MAX).saturating_add(1);
    Payment {
        id: new_id(now),
        user_id: subscription.user_id,
        subscription_id: subscription.id,
        invoice_id: invoice.id,
        kind,
        attempt_no,
        order_id: renewal_order_id(subscription.id, invoice.period.no, attempt_no),
        payment_key: None,
        idempotency_key: new_key(),
        amount: invoice.amount,
        status: PaymentStatus::Pending,
        decline_kind: None,
        toss_code: None,
        toss_message: None,
        receipt_url: None,
        paid_at: None,
        created_at: now,
        settled_at: None,
        sent_at: Some(now),
        first_sent_at: Some(now),
        unknown_since: None,
        review_since: None,
        not_found_count: 0,
    }
}

/// Commits the intent, calls, records. From the commit on, nothing may drop this future.
pub(super) async fn send(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    subscription: &Subscription,
    attempt: &Payment,
    again: bool,
) -> Result<Ran, JobError> {
    tracing::Span::current().record("payment.id", tracing::field::display(attempt.id));
    let plan = plan_name(&mut tx, &subscription.plan).await?;
    let charged = new_card::charged_with(&mut tx, subscription, attempt).await?;
    tx.commit().await?;
    crash::point("after_intent");
    let outcome = ask::for_money(env, &charged, attempt, &plan, again).await;
    crash::point("after_call");
    record::outcome(env, lease, attempt, outcome).await
}

/// The subscription ended before this was charged: nothing is owed.
async fn void(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    locked: &Locked,
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    let unsent = locked.attempts.iter().find(|attempt| attempt.is_unfinished());
    if let Some(attempt) = unsent {
        payments::withdraw(&mut tx, attempt.id, "canceled before it was sent", now).await?;
        common::store::announce_settled(&mut tx, &attempt.order_id).await?;
    }
    invoices::close(&mut tx, locked.invoice.id, InvoiceStatus::Void, now).await?;
    let finish = Finish::Discard("the subscription was canceled; nothing was charged".into());
    Ok(Ran::Committed(lease.commit(tx, finish, env.clock.now()).await?))
}

/// It waits for an operator: nothing ran, or the gateway was away, for longer than the period, or nobody could tell in time
/// that it never arrived. The period of today, where that is another, is charged instead.
pub(super) async fn hold(
    env: &Env,
    lease: &Lease,
    mut tx: Tx,
    locked: &Locked,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Ran, JobError> {
    if let Some(unsent) = locked.attempts.iter().find(|attempt| attempt.is_unfinished()) {
        payments::withdraw(&mut tx, unsent.id, why, now).await?;
        common::store::announce_settled(&mut tx, &unsent.order_id).await?;
    }
    invoices::hold(&mut tx, locked.invoice.id, now).await?;
    let subscription = settle_change(&mut tx, &env.brand, locked.subscription.clone(), now).await?;
    if subscription.status == SubscriptionStatus::Canceled {
        let why = "the subscription has ended: nobody agreed to its new amount";
        return Ok(Ran::Committed(lease.commit(tx, Finish::Discard(why.into()), env.clock.now()).await?));
    }
    let today = common::domain::calendar::seoul_date(now);
    let due = due_periods(subscription.billing_schedule(), subscription.period_no, today)?;
    if let Some(due) = due {
        let wanted: Vec<Invoice> =
            crate::handlers::invoices_for(subscription.id, subscription.amount, &due, now);
        invoices::insert_missing(&mut tx, &wanted, now).await?;
        let current = invoices::of_period(&mut tx, subscription.id, due.current.no).await?;
        if let Some(invoice_id) = current.filter(|current| *current != locked.invoice.id) {
            let job = ChargeSubscription { invoice_id, subscription_id: subscription.id, by_scan: true };
            jobs::enqueue(&mut tx, &job, now, now).await?;
        }
    }
    let finish = Finish::Discard(format!("{why}: an operator decides on it"));
    Ok(Ran::Committed(lease.commit(tx, finish, env.clock.now()).await?))
}
