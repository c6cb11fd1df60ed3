//! The invariants, checked when the faults are over and everything unfinished has had its time.
//!
//! - I1: per period, captured minus refunded is 0 or the price; nothing is refunded that nobody requested.
//! - I2: our ledger and the gateway's agree: each capture and refund is on record on both sides.
//! - I3: an invoice has at most one unfinished payment.
//! - I4: only what the customer agreed to is charged: that amount, for successive periods from one anchor, to the last
//!   verified card, not after a cancel, not for a day that another system charged.
//! - I5: a payment counts as a decline if and only if the bank declined it.
//! - I6: every fact that has an e-mail is mailed once.
//! - I7: nothing stays unfinished in silence: an unknown outcome needs review after 24 hours.
//! - I8: every due subscription is charged, or its row says why not.
//!
//! Two more checks follow the seed: `erasure` (nothing personal is left of an erased customer) and `schema` (no forbidden
//! write was accepted). `invariants.rs` checks at every moment what must hold at every moment. docs/guarantees.md lists the
//! same numbers.

mod cards;
mod emails;
mod erasure;
mod terms;

use std::collections::BTreeMap;

use common::domain::payment::{PaymentKind, PaymentStatus};
use uuid::Uuid;

use crate::ledgers::LedgerRow;
use crate::simulation::{Simulation, Violation};
use crate::{ledgers, manual_sql, trace};

/// Checks all invariants. Returns the violations.
pub(crate) async fn all(simulation: &Simulation<'_>) -> Vec<Violation> {
    let rows = ledgers::rows(simulation).await;
    let mut violations = Vec::new();
    violations.extend(net_is_zero_or_the_price(simulation, &rows).await);
    violations.extend(rows.iter().filter_map(ledgers_agree));
    violations.extend(rows.iter().filter_map(only_declines_are_counted));
    violations.extend(rows.iter().filter_map(nothing_is_unfinished));
    violations.extend(nothing_is_charged_after_a_cancel(simulation).await);
    violations.extend(due_subscriptions_are_charged(simulation).await);
    violations.extend(refunds_are_finished(simulation).await);
    violations.extend(reconciliation_is_clean(simulation).await);
    violations.extend(cards::all(simulation).await);
    violations.extend(terms::all(simulation).await);
    violations.extend(erasure::all(simulation).await);
    violations.extend(emails::facts_are_mailed(simulation, &rows).await);
    violations.extend(emails::are_delivered_once(simulation).await);
    violations.extend(manual_sql::no_write_was_accepted(simulation));
    violations
}

fn is_captured(status: PaymentStatus) -> bool {
    match status {
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => true,
        PaymentStatus::Pending | PaymentStatus::Unknown | PaymentStatus::Failed => false,
    }
}

/// I1. Refunds on request do not count against the price.
async fn net_is_zero_or_the_price(simulation: &Simulation<'_>, rows: &[LedgerRow]) -> Vec<Violation> {
    let prorated: Vec<(String, i64)> =
        sqlx::query_as("select order_id, amount from oracle.prorated_refunds where order_id is not null")
            .fetch_all(simulation.testbed.admin_pool())
            .await
            .unwrap();
    let prorated: BTreeMap<String, i64> = prorated.into_iter().collect();
    let mut periods: BTreeMap<Uuid, (i64, i64, &str)> = BTreeMap::new();
    let mut violations = Vec::new();
    for LedgerRow { payment, name, price, captured, refunded, refunded_on_request, .. } in rows {
        let sum = periods.entry(payment.invoice_id).or_insert((0, *price, name));
        sum.0 += captured - refunded;
        sum.1 -= refunded_on_request;
        let requested = [&simulation.requested_refunds, &prorated]
            .map(|amounts| amounts.get(&payment.order_id).copied().unwrap_or_default());
        let requested = requested[0] + requested[1];
        if *refunded_on_request > requested {
            violations.push(format!(
                "I1: {refunded_on_request} won of {name} were refunded, {requested} were requested"
            ));
        }
    }
    let wrong = periods.into_values().filter(|(net, price, _)| *net != 0 && net != price);
    violations.extend(
        wrong.map(|(net, price, name)| {
            format!("I1: the period of {name} has {net} won, its price is {price}")
        }),
    );
    violations
}

/// I2.
fn ledgers_agree(row: &LedgerRow) -> Option<Violation> {
    let LedgerRow { payment, name, captured, refunded, refunded_by_us, .. } = row;
    let completed = if is_captured(payment.status) { i64::from(payment.amount.get()) } else { 0 };
    // A deposit that came after its payment had ended went back without us.
    let is_late_deposit = payment.deposit_due_at.is_some() && payment.status == PaymentStatus::Failed;
    let went_back = is_late_deposit && captured == refunded && *refunded_by_us == 0;
    let agree = went_back || completed == *captured && refunded_by_us == refunded;
    (!agree).then(|| {
        format!(
            "I2: {name} is {} with {completed} − {refunded_by_us} won here, {captured} − {refunded} at the gateway",
            payment.status
        )
    })
}

/// I5, both ways. A payment in review counts as neither.
fn only_declines_are_counted(row: &LedgerRow) -> Option<Violation> {
    let LedgerRow { payment, name, gateway_status, .. } = row;
    // A withdrawn payment counts as neither, too: the gateway does not know its order, or ended it with a code that is on no
    // list. Such a payment counts as not sent, and it was not sent again: its period was over, or a new card paid instead.
    let withdrawn = [
        "canceled",
        "the gateway knows no such order: it never arrived",
        "its period was over before it could be sent",
        "a new card pays instead",
    ];
    let is_withdrawn = payment
        .toss_message
        .as_deref()
        .is_some_and(|message| withdrawn.iter().any(|prefix| message.starts_with(prefix)));
    if payment.kind == PaymentKind::First || payment.review_since.is_some() || is_withdrawn {
        return None;
    }
    let (counted, declined) = (payment.decline_kind.is_some(), gateway_status.as_deref() == Some("ABORTED"));
    (counted != declined).then(|| {
        format!("I5: {name} counts as a decline: {counted}; at the gateway it is {gateway_status:?}")
    })
}

/// I7. Only unknown payments in review may be unfinished.
fn nothing_is_unfinished(row: &LedgerRow) -> Option<Violation> {
    let is_silent = row.payment.is_unfinished() && row.payment.review_since.is_none();
    is_silent.then(|| format!("I7: {} is still {} and not in review", row.name, row.payment.status))
}

/// I4: no payment begins after a cancel.
async fn nothing_is_charged_after_a_cancel(simulation: &Simulation<'_>) -> Vec<Violation> {
    let late: Vec<String> = sqlx::query_scalar(
        "select order_id from payments payment
          where exists (select from oracle.cancellations cancellation
                         where cancellation.subscription_id = payment.subscription_id and cancellation.order_id is null)
            and not exists (select from oracle.cancellations cancellation where cancellation.order_id = payment.order_id)",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    late.iter()
        .map(|order_id| format!("I4: {} began after the cancel", trace::order_label(simulation, order_id)))
        .collect()
}

/// I2: reconciliation has no open discrepancy. I7: every webhook is processed.
async fn reconciliation_is_clean(simulation: &Simulation<'_>) -> Vec<Violation> {
    let open: Vec<(String, String)> = sqlx::query_as(
        "select 'I2: an open discrepancy: ' || kind || ' of', coalesce(order_id, reference)
           from discrepancies where resolved_at is null and accepted_at is null
         union all
         select 'I7: a webhook is ' || state || coalesce(': ' || note, '') || ',', coalesce(event_type, '')
           from webhook_events_in
          where state = 'received'
             or state = 'failed' and note not like '%for a day now' and note not like '%for three days'
                and note not like 'a deposit came after its account had ended%'",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    open.into_iter()
        .map(|(what, order_id)| format!("{what} {}", trace::order_label(simulation, &order_id)))
        .collect()
}

/// I8.
async fn due_subscriptions_are_charged(simulation: &Simulation<'_>) -> Vec<Violation> {
    let forgotten: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, status from subscriptions subscription
          where not (status in ('canceled', 'suspended')
                  or status = 'active' and next_billing_date > $1
                  or status = 'past_due' and exists (
                        select from invoices where subscription_id = subscription.id and status = 'open'
                           and held_since is null and next_attempt_at > $1)
                  or exists (
                        select from payments where subscription_id = subscription.id
                           and status = 'unknown' and review_since is not null))",
    )
    .bind(simulation.testbed.now())
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    let describe = |(id, status): (Uuid, String)| {
        format!(
            "I8: {} is {status} and due, not charged and without a reason",
            trace::customer_label(simulation, id)
        )
    };
    forgotten.into_iter().map(describe).collect()
}

/// I2: every refund is finished. One that the gateway answered with 500 for 14 days has failed.
async fn refunds_are_finished(simulation: &Simulation<'_>) -> Vec<Violation> {
    let open: Vec<(Uuid, String)> = sqlx::query_as(
        "select payment.subscription_id, refund.status
           from refunds refund join payments payment on payment.id = refund.payment_id
          where refund.status not in ('completed', 'failed')
             or refund.status = 'failed' and refund.toss_code is null
                and refund.settled_at - refund.first_sent_at < interval '14 days'",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    let describe = |(id, status): (Uuid, String)| {
        format!("I2: a refund for {} is {status}", trace::customer_label(simulation, id))
    };
    open.into_iter().map(describe).collect()
}
