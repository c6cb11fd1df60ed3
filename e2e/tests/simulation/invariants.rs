//! The invariants that hold at every moment, checked while faults are injected. `final_invariants.rs` lists all of them.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use common::domain::calendar::seoul_date;
use sandbox::{EntryKind, LedgerQuery, Operation};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::{customers::Customer, gateway_proxy::GatewayRequest, simulation::Simulation, trace};

/// Checks a request that is about to reach the gateway.
pub(crate) async fn before_request(simulation: &mut Simulation<'_>, request: &GatewayRequest) {
    match request.operation {
        Operation::Charge => check_charge(simulation, request).await,
        Operation::Delete => check_deletion(simulation, request).await,
        _ => {}
    }
}

/// I4: the billing key that a subscription is charged with is never deleted.
async fn check_deletion(simulation: &mut Simulation<'_>, request: &GatewayRequest) {
    let cards: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, billing_key from subscriptions where billing_key is not null and status <> 'canceled'",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    for (id, sealed) in cards {
        let key = simulation.testbed.processes[0].env.sealer.open(&sealed, id).unwrap();
        if Some(key.expose_secret()) == request.billing_key.as_deref() {
            let name = trace::customer_label(simulation, id);
            simulation.violations.push(format!("I4 (card): the billing key in force of {name} is deleted"));
        }
    }
}

/// The date up to which another system charged the subscription, unless that date is past.
fn charged_elsewhere_until(simulation: &Simulation<'_>, order_id: &str) -> Option<NaiveDate> {
    let is_of = |customer: &&Customer| order_id.contains(&customer.subscription_id.simple().to_string());
    let until = simulation.customers.iter().find(is_of)?.elsewhere?.charged_until;
    (seoul_date(simulation.testbed.now()) <= until).then_some(until)
}

/// What our tables and the oracle know of a charge.
#[derive(sqlx::FromRow)]
struct KnownCharge {
    price: i32,
    is_agreed: bool,
    unfinished_payments: i64,
    is_after_cancel: bool,
}

/// I2, I3, I4: a charge has a payment on record, the agreed amount, and no other payment or cancel beside it.
async fn check_charge(simulation: &mut Simulation<'_>, request: &GatewayRequest) {
    let name = trace::order_label(simulation, &request.name);
    let Some(known) = known_charge(simulation, &request.name).await else {
        simulation.violations.push(format!("I2: {name} is charged without a payment on record"));
        return;
    };
    let KnownCharge { price, is_agreed, .. } = known;
    let violations = &mut simulation.violations;
    if request.amount != Some(price.into()) || !is_agreed {
        let amount = request.amount;
        violations.push(format!(
            "I4: {name} is charged {amount:?} won; the price is {price}, agreed to: {is_agreed}"
        ));
    }
    if known.unfinished_payments > 1 {
        violations.push(format!("I3: {name} is charged while another payment is unfinished"));
    }
    if known.is_after_cancel {
        violations.push(format!("I4: {name} is charged after the cancel"));
    }
    if let Some(until) = charged_elsewhere_until(simulation, &request.name) {
        let violation = format!("I4 (import): {name} is charged, another system charged up to {until}");
        simulation.violations.push(violation);
    }
}

async fn known_charge(simulation: &Simulation<'_>, order_id: &str) -> Option<KnownCharge> {
    sqlx::query_as(
        "select terms.amount as price, terms.is_agreed,
                (select count(*) from payments other
                  where other.invoice_id = payment.invoice_id
                    and other.status in ('pending', 'unknown')) as unfinished_payments,
                exists (select from oracle.cancellations where subscription_id = subscription.id)
                and not exists (select from oracle.cancellations cancellation
                                 where cancellation.order_id = payment.order_id and was_sent) as is_after_cancel
           from payments payment join subscriptions subscription on subscription.id = payment.subscription_id
           join invoices invoice on invoice.id = payment.invoice_id
           join oracle.terms terms on terms.subscription_id = subscription.id
            and invoice.period_start >= effective_on and (until is null or invoice.period_start < until)
          where payment.order_id = $1",
    )
    .bind(order_id)
    .fetch_optional(simulation.testbed.admin_pool())
    .await
    .unwrap()
}

/// Checks the database after everything due has run.
pub(crate) async fn after_run(simulation: &mut Simulation<'_>) {
    check_captured_at_most_price(simulation).await;
    let wrong: Vec<(String, String)> = sqlx::query_as(
        // I7 allows 25 hours: the look-up that marks a payment for review comes hourly.
        "select 'I3: more than one payment is unfinished for the invoice of', min(order_id)
           from payments where status in ('pending', 'unknown') group by invoice_id having count(*) > 1
         union all
         select 'I7: unknown for more than 24 h and not in review:', order_id from payments payment
          where status = 'unknown' and review_since is null and coalesce(deposit_due_at, unknown_since) < $1
            -- An operator sees a parked job; the next sweep replaces a deleted one.
            and not exists (select from jobs where state = 'parked' and subject->>'subscription'
                                   = 'sub_' || replace(payment.subscription_id::text, '-', ''))
            and not $2",
    )
    .bind(simulation.testbed.now() - TimeDelta::hours(25))
    .bind(simulation.jobs_deleted_at.is_some())
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    for (what, order_id) in wrong {
        let name = trace::order_label(simulation, &order_id);
        simulation.violations.push(format!("{what} {name}"));
    }
}

/// The invoice and the amount of each order.
pub(crate) async fn invoices_by_order(simulation: &Simulation<'_>) -> BTreeMap<String, (Uuid, i64)> {
    let rows: Vec<(String, Uuid, i32)> = sqlx::query_as("select order_id, invoice_id, amount from payments")
        .fetch_all(simulation.testbed.admin_pool())
        .await
        .unwrap();
    rows.into_iter().map(|(order, invoice, amount)| (order, (invoice, amount.into()))).collect()
}

/// I1 as far as it holds at every moment: captured minus refunded is never above the price. I2: we know every capture.
async fn check_captured_at_most_price(simulation: &mut Simulation<'_>) {
    let invoices = invoices_by_order(simulation).await;
    let mut net: BTreeMap<Uuid, (i64, i64, String)> = BTreeMap::new();
    for entry in simulation.testbed.sandbox.ledger(&LedgerQuery::default()).entries {
        let Some((invoice, price)) = invoices.get(&entry.order_id) else {
            simulation
                .violations
                .push(format!("I2: the gateway captured {}, which is no payment of ours", entry.order_id));
            continue;
        };
        let sum = net.entry(*invoice).or_insert((0, *price, entry.order_id.clone()));
        sum.0 += if entry.kind == EntryKind::Capture { entry.amount } else { -entry.amount };
    }
    for (sum, price, order_id) in net.into_values() {
        if sum > price {
            let name = trace::order_label(simulation, &order_id);
            simulation
                .violations
                .push(format!("I1: {sum} won are captured for the period of {name}, the price is {price}"));
        }
    }
}
