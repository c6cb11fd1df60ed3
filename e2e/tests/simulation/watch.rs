//! The promises that must hold at every moment, looked at while everything is still going wrong.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use common::domain::calendar::seoul_date;
use sandbox::{EntryKind, LedgerQuery, Operation};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use uuid::Uuid;

use crate::{customers::Customer, gate::Asked, life::Life};

/// `AUTO_<subscription>_<period>_<attempt>` as `s1/p2/a3`.
pub(crate) fn order(life: &Life<'_>, order_id: &str) -> String {
    let Some(rest) = order_id.strip_prefix("AUTO_") else {
        return if order_id.starts_with("ORDER_") { order_id.to_owned() } else { "a payment".to_owned() };
    };
    let mut parts = rest.split('_');
    let id = parts.next().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    format!("{}/p{}", customer(life, id), rest.join("/a"))
}

/// The subject of a job, told without ids.
pub(crate) fn about(life: &Life<'_>, subject: &Value) -> String {
    let id = subject["subscription"].as_str().and_then(common::id::parse_subscription_ref);
    id.map_or_else(|| subject["date"].as_str().unwrap_or_default().to_owned(), |id| customer(life, id))
}

pub(crate) fn customer(life: &Life<'_>, subscription_id: Uuid) -> String {
    let number = life.customers.iter().position(|one| one.subscription_id == subscription_id);
    number.map_or_else(|| "nobody".to_owned(), |number| format!("s{number}"))
}

/// A request is about to reach the gateway.
pub(crate) async fn request(life: &mut Life<'_>, asked: &Asked) {
    match asked.operation {
        Operation::Charge => charge(life, asked).await,
        Operation::Delete => deletion(life, asked).await,
        _ => {}
    }
}

/// No card that somebody is charged with is taken from them.
async fn deletion(life: &mut Life<'_>, asked: &Asked) {
    let cards: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, billing_key from subscriptions where billing_key is not null and status <> 'canceled'",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    for (id, sealed) in cards {
        let key = life.bench.hosts[0].env.sealer.open(&sealed, id).unwrap();
        if Some(key.expose_secret()) == asked.billing_key.as_deref() {
            let whose = customer(life, id);
            life.broken.push(format!("card: the key in force of {whose} is deleted"));
        }
    }
}

/// Until today or later.
fn charged_elsewhere_until(life: &Life<'_>, order_id: &str) -> Option<NaiveDate> {
    let is_of = |one: &&Customer| order_id.contains(&one.subscription_id.simple().to_string());
    let until = life.customers.iter().find(is_of)?.elsewhere?.charged_until;
    (seoul_date(life.bench.now()) <= until).then_some(until)
}

async fn charge(life: &mut Life<'_>, asked: &Asked) {
    let name = order(life, &asked.name);
    let known: Option<(i32, bool, i64, bool)> = sqlx::query_as(
        "select terms.amount, terms.is_agreed,
                (select count(*) from payments other
                  where other.invoice_id = payment.invoice_id and other.status in ('pending', 'unknown')),
                exists (select from remembered.farewells where subscription_id = subscription.id)
                and not exists (select from remembered.farewells farewell
                                 where farewell.order_id = payment.order_id and was_sent)
           from payments payment join subscriptions subscription on subscription.id = payment.subscription_id
           join invoices invoice on invoice.id = payment.invoice_id
           join remembered.terms terms on terms.subscription_id = subscription.id
            and invoice.period_start >= effective_on and (until is null or invoice.period_start < until)
          where payment.order_id = $1",
    )
    .bind(&asked.name)
    .fetch_optional(life.bench.desk())
    .await
    .unwrap();
    let Some((agreed, is_agreed, unfinished, is_late)) = known else {
        life.broken.push(format!("{name} is charged without an intent on record"));
        return;
    };
    if asked.amount != Some(agreed.into()) || !is_agreed {
        let what =
            format!("I4: {name} is charged {:?}, known are {agreed}, agreed to: {is_agreed}", asked.amount);
        life.broken.push(what);
    }
    if let Some(until) = charged_elsewhere_until(life, &asked.name) {
        life.broken.push(format!("import: {name} is charged, and was charged elsewhere up to {until}"));
    }
    if unfinished > 1 {
        life.broken.push(format!("I3: {name} is charged while another attempt is unfinished"));
    }
    if is_late {
        life.broken.push(format!("I4: {name} is charged after the cancel"));
    }
}

/// Everything that was due has run.
pub(crate) async fn after_settling(life: &mut Life<'_>) {
    never_twice(life).await;
    let wrong: Vec<(String, String)> = sqlx::query_as(
        // I7: an hour on top of the 24, because the look-up that notices comes hourly.
        "select 'I3: more than one attempt is unfinished for the invoice of', min(order_id)
           from payments where status in ('pending', 'unknown') group by invoice_id having count(*) > 1
         union all
         select 'I7: unknown for more than 24 h, and nobody looks at it:', order_id from payments payment
          where status = 'unknown' and review_since is null and unknown_since < $1
            -- An operator sees the parked job; what has lost its job is found by the next sweep.
            and not exists (select from jobs where state = 'parked' and subject->>'subscription'
                                   = 'sub_' || replace(payment.subscription_id::text, '-', ''))
            and not $2",
    )
    .bind(life.bench.now() - TimeDelta::hours(25))
    .bind(life.lost_jobs_at.is_some())
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    for (what, one) in wrong {
        let name = order(life, &one);
        life.broken.push(format!("{what} {name}"));
    }
}

/// Whose period an order pays for.
pub(crate) async fn invoices_by_order(life: &Life<'_>) -> BTreeMap<String, (Uuid, i64)> {
    let rows: Vec<(String, Uuid, i32)> = sqlx::query_as("select order_id, invoice_id, amount from payments")
        .fetch_all(life.bench.desk())
        .await
        .unwrap();
    rows.into_iter().map(|(order, invoice, amount)| (order, (invoice, amount.into()))).collect()
}

/// I1 as far as it holds at every moment: what is captured and not given back is never more than the price, but for
/// money whose refund has been decided.
async fn never_twice(life: &mut Life<'_>) {
    let invoices = invoices_by_order(life).await;
    let mut net: BTreeMap<Uuid, (i64, i64, String)> = BTreeMap::new();
    for entry in life.bench.sandbox.ledger(&LedgerQuery::default()).entries {
        let Some((invoice, price)) = invoices.get(&entry.order_id) else {
            life.broken.push(format!("I2: the gateway captured {}, nobody knows why", entry.order_id));
            continue;
        };
        let sum = net.entry(*invoice).or_insert((0, *price, entry.order_id.clone()));
        sum.0 += if entry.kind == EntryKind::Capture { entry.amount } else { -entry.amount };
    }
    for (sum, price, one) in net.into_values() {
        if sum > price {
            let name = order(life, &one);
            life.broken
                .push(format!("I1: {sum} won are captured for the period of {name}, it costs {price}"));
        }
    }
}
