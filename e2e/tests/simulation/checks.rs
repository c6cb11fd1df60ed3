//! The promises, checked when calm has returned and everything unfinished has had its time.

mod cards;
mod erasure;
mod letters;
mod terms;

use std::collections::BTreeMap;

use common::domain::payment::{PaymentKind, PaymentStatus};
use uuid::Uuid;

use crate::{
    life::{Broken, Life},
    money::{self, Line},
    rash, watch,
};

/// Everything that does not hold.
pub(crate) async fn all(life: &Life<'_>) -> Vec<Broken> {
    let lines = money::lines(life).await;
    let mut broken = Vec::new();
    broken.extend(nothing_or_the_price(life, &lines).await);
    broken.extend(lines.iter().filter_map(ledgers_agree));
    broken.extend(lines.iter().filter_map(failures_are_declines));
    broken.extend(lines.iter().filter_map(nothing_is_left_open));
    broken.extend(nothing_after_a_cancel(life).await);
    broken.extend(everybody_is_charged_or_explained(life).await);
    broken.extend(refunds_have_ended(life).await);
    broken.extend(the_books_agree(life).await);
    broken.extend(cards::all(life).await);
    broken.extend(terms::all(life).await);
    broken.extend(erasure::all(life).await);
    broken.extend(letters::facts_have_theirs(life, &lines).await);
    broken.extend(letters::went_out_once(life).await);
    broken.extend(rash::nothing_was_taken(life));
    broken
}

fn is_captured(status: PaymentStatus) -> bool {
    match status {
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => true,
        PaymentStatus::Pending | PaymentStatus::Unknown | PaymentStatus::Failed => false,
    }
}

/// I1: what people wanted back is not theirs to keep either way, and never more than they wanted.
async fn nothing_or_the_price(life: &Life<'_>, lines: &[Line]) -> Vec<Broken> {
    let shares: Vec<(String, i64)> =
        sqlx::query_as("select order_id, amount from remembered.shares where order_id is not null")
            .fetch_all(life.bench.desk())
            .await
            .unwrap();
    let shares: BTreeMap<String, i64> = shares.into_iter().collect();
    let mut periods: BTreeMap<Uuid, (i64, i64, &str)> = BTreeMap::new();
    let mut broken = Vec::new();
    for Line { ours, name, price, captured, refunded, given_back, .. } in lines {
        let sum = periods.entry(ours.invoice_id).or_insert((0, *price, name));
        sum.0 += captured - refunded;
        sum.1 -= given_back;
        let wished =
            [&life.wished, &shares].map(|known| known.get(&ours.order_id).copied().unwrap_or_default());
        let wished = wished[0] + wished[1];
        if *given_back > wished {
            broken.push(format!("I1: {given_back} won of {name} went back, people wanted {wished}"));
        }
    }
    let wrong = periods.into_values().filter(|(net, price, _)| *net != 0 && net != price);
    broken.extend(wrong.map(|(net, price, name)| {
        format!("I1: {net} won were kept for the period of {name}, {price} should be")
    }));
    broken
}

/// I2.
fn ledgers_agree(line: &Line) -> Option<Broken> {
    let Line { ours, name, captured, refunded, refunded_by_us, .. } = line;
    let booked = if is_captured(ours.status) { i64::from(ours.amount.get()) } else { 0 };
    let agree = booked == *captured && refunded_by_us == refunded;
    (!agree).then(|| {
        format!(
            "I2: {name} is {} with {booked} − {refunded_by_us} won here, {captured} − {refunded} at the gateway",
            ours.status
        )
    })
}

/// I5, both ways. What a person has to look at is neither yet.
fn failures_are_declines(line: &Line) -> Option<Broken> {
    let Line { ours, name, status, .. } = line;
    // Nor what was withdrawn because the gateway did not tell of it.
    let withdrawn = ["canceled", "the gateway knows no such order: it never arrived"];
    let is_withdrawn =
        ours.toss_message.as_deref().is_some_and(|why| withdrawn.iter().any(|begin| why.starts_with(begin)));
    if ours.kind == PaymentKind::First || ours.review_since.is_some() || is_withdrawn {
        return None;
    }
    let (counted, declined) = (ours.decline_kind.is_some(), status.as_deref() == Some("ABORTED"));
    (counted != declined)
        .then(|| format!("I5: {name} counts as declined: {counted}; at the gateway it is {status:?}"))
}

/// I7, at the end: open are only unknowns in review that the gateway cannot tell anything about.
fn nothing_is_left_open(line: &Line) -> Option<Broken> {
    let open = line.ours.is_unfinished() && line.ours.review_since.is_none();
    open.then(|| format!("I7: {} is still {} and nobody looks at it", line.name, line.ours.status))
}

/// I4: what began after the cancel.
async fn nothing_after_a_cancel(life: &Life<'_>) -> Vec<Broken> {
    let late: Vec<String> = sqlx::query_scalar(
        "select order_id from payments payment
          where exists (select from remembered.farewells farewell
                         where farewell.subscription_id = payment.subscription_id and farewell.order_id is null)
            and not exists (select from remembered.farewells farewell where farewell.order_id = payment.order_id)",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    late.iter().map(|one| format!("I4: {} began after the cancel", watch::order(life, one))).collect()
}

/// The daily comparison has found everything out, every event has been dealt with, and nothing of it is left to explain.
async fn the_books_agree(life: &Life<'_>) -> Vec<Broken> {
    let open: Vec<(String, String)> = sqlx::query_as(
        "select 'I2: the comparison leaves a ' || kind, coalesce(order_id, reference)
           from discrepancies where resolved_at is null
         union all
         select 'an event is ' || state || coalesce(': ' || note, '') || ',', coalesce(event_type, '')
           from webhook_events_in
          where state = 'received'
             or state = 'failed' and note not like '%for a day now' and note not like '%for three days'",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    open.into_iter().map(|(what, whose)| format!("{what} {}", watch::order(life, &whose))).collect()
}

/// I8.
async fn everybody_is_charged_or_explained(life: &Life<'_>) -> Vec<Broken> {
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
    .bind(life.bench.now())
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    let tell = |(id, status): (Uuid, String)| {
        format!("I8: {} is {status}, due, neither charged nor explained", watch::customer(life, id))
    };
    forgotten.into_iter().map(tell).collect()
}

/// One that a gateway has answered 500 for 14 days, because it repeats that under the key, has failed; any other is made.
async fn refunds_have_ended(life: &Life<'_>) -> Vec<Broken> {
    let open: Vec<(Uuid, String)> = sqlx::query_as(
        "select payment.subscription_id, refund.status
           from refunds refund join payments payment on payment.id = refund.payment_id
          where refund.status not in ('completed', 'failed')
             or refund.status = 'failed' and refund.toss_code is null
                and refund.settled_at - refund.first_sent_at < interval '14 days'",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    let tell =
        |(id, status): (Uuid, String)| format!("I2: a refund for {} is {status}", watch::customer(life, id));
    open.into_iter().map(tell).collect()
}
