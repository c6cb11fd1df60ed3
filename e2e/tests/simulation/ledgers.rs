//! Our ledger and the gateway's, side by side.

use std::collections::BTreeMap;

use common::domain::payment::Payment;
use sandbox::{EntryKind, FailedChargeLookup, LedgerQuery};
use toss::{Account, LookupOutcome};
use uuid::Uuid;

use crate::{simulation::Simulation, trace};

/// One payment, and what the gateway has on its order.
pub(crate) struct LedgerRow {
    pub(crate) payment: Payment,
    /// Its label in the trace.
    pub(crate) name: String,
    /// The price of its period, as agreed; 0 without an agreement.
    pub(crate) price: i64,
    pub(crate) refunded_by_us: i64,
    /// The part of it that customers or operators requested.
    pub(crate) refunded_on_request: i64,
    /// Captured after a cancel: it has to be refunded.
    pub(crate) is_captured_after_cancel: bool,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    /// The gateway's status of the order; `None` when it knows no such order.
    pub(crate) gateway_status: Option<String>,
}

/// Reads all payments.
pub(crate) async fn rows(simulation: &Simulation<'_>) -> Vec<LedgerRow> {
    simulation
        .testbed
        .sandbox
        .set_switches(|switches| switches.failed_charge_lookup = FailedChargeLookup::Aborted);
    let gateway = gateway_sums(simulation);
    let (refunds, prices) = (refunds(simulation).await, prices(simulation).await);
    let mut rows = Vec::new();
    for payment in payments(simulation).await {
        let (captured, refunded) = gateway.get(&payment.order_id).copied().unwrap_or_default();
        let found = simulation.testbed.direct.payment_by_order_id(Account::Billing, &payment.order_id).await;
        let gateway_status = match found {
            LookupOutcome::Found(found) => Some(found.status.as_str().to_owned()),
            LookupOutcome::NotFound { .. } => None,
            LookupOutcome::Unavailable(reason) => panic!("{reason:?}"),
        };
        let name = trace::order_label(simulation, &payment.order_id);
        let price = prices.get(&payment.id).copied().unwrap_or_default();
        let (refunded_by_us, refunded_on_request, is_captured_after_cancel) =
            refunds.get(&payment.id).copied().unwrap_or_default();
        rows.push(LedgerRow {
            payment,
            name,
            price,
            refunded_by_us,
            refunded_on_request,
            is_captured_after_cancel,
            captured,
            refunded,
            gateway_status,
        });
    }
    rows
}

/// What the gateway captured and refunded of each order.
fn gateway_sums(simulation: &Simulation<'_>) -> BTreeMap<String, (i64, i64)> {
    let mut totals: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for entry in simulation.testbed.sandbox.ledger(&LedgerQuery::default()).entries {
        let sums = totals.entry(entry.order_id.clone()).or_default();
        match entry.kind {
            EntryKind::Capture => sums.0 += entry.amount,
            EntryKind::Refund => sums.1 += entry.amount,
        }
    }
    totals
}

/// What we refunded of each payment: in all, on request, and whether it was captured after a cancel.
async fn refunds(simulation: &Simulation<'_>) -> BTreeMap<Uuid, (i64, i64, bool)> {
    let refunds: Vec<(Uuid, i64, i64, bool)> = sqlx::query_as(
        "select payment_id, coalesce(sum(amount) filter (where status = 'completed'), 0)::bigint,
                coalesce(sum(amount) filter (where status = 'completed' and requested_by <> 'worker'), 0)::bigint,
                bool_or(request_key = 'landed_after_cancel')
           from refunds group by payment_id",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    refunds
        .into_iter()
        .map(|(id, all, given, is_captured_after_cancel)| (id, (all, given, is_captured_after_cancel)))
        .collect()
}

/// The price that the customer agreed to for the period of each payment.
async fn prices(simulation: &Simulation<'_>) -> BTreeMap<Uuid, i64> {
    let prices: Vec<(Uuid, i32)> = sqlx::query_as(
        "select payment.id, terms.amount
           from payments payment join invoices invoice on invoice.id = payment.invoice_id
           join oracle.terms terms on terms.subscription_id = payment.subscription_id
            and invoice.period_start >= effective_on and (until is null or invoice.period_start < until)
          where terms.is_agreed",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    prices.into_iter().map(|(id, amount)| (id, amount.into())).collect()
}

async fn payments(simulation: &Simulation<'_>) -> Vec<Payment> {
    let mut conn = simulation.testbed.admin_pool().acquire().await.unwrap();
    let mut all = Vec::new();
    for customer in &simulation.customers {
        let page =
            common::store::payments::page_of_subscription(&mut conn, customer.subscription_id, None, 10_000);
        all.extend(page.await.unwrap());
    }
    all
}
