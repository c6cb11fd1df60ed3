//! I4 for terms: each period has the agreed length and amount, and periods follow each other without gap or overlap.

use std::collections::BTreeMap;

use chrono::{Months, NaiveDate};
use common::domain::calendar::seoul_date;
use sandbox::{EntryKind, LedgerQuery};
use uuid::Uuid;

use crate::simulation::{Simulation, Violation};
use crate::trace;

/// The period of an invoice, and the months that the customer agreed to for it.
#[derive(sqlx::FromRow)]
struct Period {
    subscription_id: Uuid,
    anchor_on: NaiveDate,
    no: i32,
    first: NaiveDate,
    last: NaiveDate,
    months: i32,
}

pub(super) async fn all(simulation: &Simulation<'_>) -> Vec<Violation> {
    let mut violations = no_raise_without_consent(simulation).await;
    violations.extend(anchors_are_first_captures(simulation).await);
    let periods: Vec<Period> = sqlx::query_as(
        "select invoice.subscription_id, anchor_on, invoice.period_no as no, period_start as first, period_end as last, months
           from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
           join oracle.terms terms on terms.subscription_id = subscription.id
            and invoice.period_start >= effective_on and (until is null or invoice.period_start < until)
          order by invoice.subscription_id, invoice.period_no",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    violations.extend(imports_begin_on_their_date(simulation, &periods));
    let label = |period: &Period| {
        format!("I4 (terms): {}/p{}", trace::customer_label(simulation, period.subscription_id), period.no)
    };
    for period in periods.iter().filter(|period| !follows_anchor(period)) {
        violations.push(format!(
            "{} is from {} to {}, anchored on {}",
            label(period),
            period.first,
            period.last,
            period.anchor_on
        ));
    }
    for (period, next) in periods.iter().zip(periods.iter().skip(1)) {
        let follows = next.no == period.no + 1 && next.first == period.last;
        if period.subscription_id == next.subscription_id && !follows {
            violations.push(format!(
                "{} ends on {}, the next begins on {}",
                label(period),
                period.last,
                next.first
            ));
        }
    }
    violations
}

fn imports_begin_on_their_date(simulation: &Simulation<'_>, periods: &[Period]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for customer in &simulation.customers {
        let Some(elsewhere) = customer.elsewhere else { continue };
        let first = periods.iter().find(|period| period.subscription_id == customer.subscription_id);
        if let Some(first) = first.filter(|first| first.first != elsewhere.first_here) {
            let customer = trace::customer_label(simulation, first.subscription_id);
            let (actual, expected) = (first.first, elsewhere.first_here);
            violations
                .push(format!("I4 (import): {customer} is billed from {actual} on, not from {expected} on"));
        }
    }
    violations
}

/// Whether the period begins whole months after the anchor and has the agreed number of months.
fn follows_anchor(period: &Period) -> bool {
    let months = u32::try_from(period.months).unwrap();
    (0..600).any(|since| {
        period.first == period.anchor_on + Months::new(since)
            && period.last == period.anchor_on + Months::new(since + months)
    })
}

/// A subscription whose raise was not agreed to is active neither on the new nor on the old terms.
async fn no_raise_without_consent(simulation: &Simulation<'_>) -> Vec<Violation> {
    let without_consent: Vec<Uuid> = sqlx::query_scalar(
        "select id from subscriptions join oracle.terms on subscription_id = id
          where not is_agreed and status = 'active' and effective_on <= ($1 at time zone 'Asia/Seoul')::date",
    )
    .bind(simulation.testbed.now())
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    let describe = |id| {
        format!(
            "I4 (terms): {} is active without consent to its raise",
            trace::customer_label(simulation, id)
        )
    };
    without_consent.into_iter().map(describe).collect()
}

async fn anchors_are_first_captures(simulation: &Simulation<'_>) -> Vec<Violation> {
    let entries = simulation.testbed.sandbox.ledger(&LedgerQuery::default()).entries;
    let captures = entries.iter().filter(|entry| entry.kind == EntryKind::Capture);
    let first_days: BTreeMap<&str, NaiveDate> =
        captures.map(|entry| (entry.order_id.as_str(), seoul_date(entry.at))).collect();
    let firsts: Vec<(Uuid, String, NaiveDate)> = sqlx::query_as(
        "select subscription.id, order_id, anchor_on
           from subscriptions subscription join payments payment on payment.subscription_id = subscription.id
           join invoices invoice on invoice.id = payment.invoice_id and invoice.period_no = 0
          where activated_at is not null",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    let wrong = firsts.into_iter().filter_map(|(id, order, anchor)| {
        let day = first_days.get(order.as_str()).filter(|day| **day != anchor)?;
        Some(format!(
            "I4 (terms): {} was first paid on {day}, its anchor is {anchor}",
            trace::customer_label(simulation, id)
        ))
    });
    wrong.collect()
}
