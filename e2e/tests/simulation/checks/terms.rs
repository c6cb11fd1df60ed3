//! What was agreed is what was charged, from the day on for which it was agreed; and no day is paid twice, or left out.

use std::collections::BTreeMap;

use chrono::{Months, NaiveDate};
use common::domain::calendar::seoul_date;
use sandbox::{EntryKind, LedgerQuery};
use uuid::Uuid;

use crate::{
    life::{Broken, Life},
    watch,
};

/// An invoice, and for how many months people agreed to pay for a period that begins on its first day.
#[derive(sqlx::FromRow)]
struct Period {
    subscription_id: Uuid,
    anchor_on: NaiveDate,
    no: i32,
    first: NaiveDate,
    last: NaiveDate,
    months: i32,
}

pub(super) async fn all(life: &Life<'_>) -> Vec<Broken> {
    let mut broken = nobody_goes_on_unasked(life).await;
    broken.extend(anchors_are_the_first_captures(life).await);
    let periods: Vec<Period> = sqlx::query_as(
        "select invoice.subscription_id, anchor_on, invoice.period_no as no, period_start as first, period_end as last, months
           from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
           join remembered.terms terms on terms.subscription_id = subscription.id
            and invoice.period_start >= effective_on and (until is null or invoice.period_start < until)
          order by invoice.subscription_id, invoice.period_no",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    broken.extend(billing_goes_on_where_another_ended(life, &periods));
    let place = |one: &Period| format!("terms: {}/p{}", watch::customer(life, one.subscription_id), one.no);
    for one in periods.iter().filter(|one| !is_in_step(one)) {
        broken.push(format!(
            "{} is from {} to {}, anchored on {}",
            place(one),
            one.first,
            one.last,
            one.anchor_on
        ));
    }
    for (one, next) in periods.iter().zip(periods.iter().skip(1)) {
        let follows = next.no == one.no + 1 && next.first == one.last;
        if one.subscription_id == next.subscription_id && !follows {
            broken.push(format!("{} ends on {}, the next begins on {}", place(one), one.last, next.first));
        }
    }
    broken
}

fn billing_goes_on_where_another_ended(life: &Life<'_>, periods: &[Period]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for customer in &life.customers {
        let Some(elsewhere) = customer.elsewhere else { continue };
        let first = periods.iter().find(|one| one.subscription_id == customer.subscription_id);
        if let Some(first) = first.filter(|first| first.first != elsewhere.first_here) {
            let whose = watch::customer(life, first.subscription_id);
            let (is, should) = (first.first, elsewhere.first_here);
            broken.push(format!("import: {whose} is billed from {is} on, not from {should} on"));
        }
    }
    broken
}

/// It begins some months after the anchor, and ends as many later as were agreed; short months are cut, and only they.
fn is_in_step(one: &Period) -> bool {
    let months = u32::try_from(one.months).unwrap();
    (0..600).any(|since| {
        one.first == one.anchor_on + Months::new(since)
            && one.last == one.anchor_on + Months::new(since + months)
    })
}

/// Whoever was to pay more and did not agree is not active on those terms, nor on the old ones.
async fn nobody_goes_on_unasked(life: &Life<'_>) -> Vec<Broken> {
    let unasked: Vec<Uuid> = sqlx::query_scalar(
        "select id from subscriptions join remembered.terms on subscription_id = id
          where not is_agreed and status = 'active' and effective_on <= ($1 at time zone 'Asia/Seoul')::date",
    )
    .bind(life.bench.now())
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    let tell = |id| format!("terms: {} goes on, and has not agreed to pay more", watch::customer(life, id));
    unasked.into_iter().map(tell).collect()
}

async fn anchors_are_the_first_captures(life: &Life<'_>) -> Vec<Broken> {
    let entries = life.bench.sandbox.ledger(&LedgerQuery::default()).entries;
    let captures = entries.iter().filter(|entry| entry.kind == EntryKind::Capture);
    let first_days: BTreeMap<&str, NaiveDate> =
        captures.map(|entry| (entry.order_id.as_str(), seoul_date(entry.at))).collect();
    let firsts: Vec<(Uuid, String, NaiveDate)> = sqlx::query_as(
        "select subscription.id, order_id, anchor_on
           from subscriptions subscription join payments payment on payment.subscription_id = subscription.id
           join invoices invoice on invoice.id = payment.invoice_id and invoice.period_no = 0
          where activated_at is not null",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    let wrong = firsts.into_iter().filter_map(|(id, order, anchor)| {
        let day = first_days.get(order.as_str()).filter(|day| **day != anchor)?;
        Some(format!("terms: {} began on {day} and is anchored on {anchor}", watch::customer(life, id)))
    });
    wrong.collect()
}
