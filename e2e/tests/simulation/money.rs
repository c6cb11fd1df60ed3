//! The two ledgers, ours and the gateway's, side by side.

use std::collections::BTreeMap;

use common::domain::payment::Payment;
use sandbox::{EntryKind, FailedChargeLookup, LedgerQuery};
use toss::{Account, LookupOutcome};
use uuid::Uuid;

use crate::{life::Life, watch};

/// One of our attempts, and what the gateway has on its order.
pub(crate) struct Line {
    pub(crate) ours: Payment,
    /// Told without ids.
    pub(crate) name: String,
    /// Of its period, as people agreed to it.
    pub(crate) price: i64,
    pub(crate) refunded_by_us: i64,
    /// Of it, what people wanted back.
    pub(crate) given_back: i64,
    /// Captured after a cancel, and to go back.
    pub(crate) unwanted: bool,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    /// The gateway's status of the payment; none: it knows no such order.
    pub(crate) status: Option<String>,
}

/// Every attempt there is.
pub(crate) async fn lines(life: &Life<'_>) -> Vec<Line> {
    life.bench.sandbox.set_switches(|it| it.failed_charge_lookup = FailedChargeLookup::Aborted);
    let booked = booked(life);
    let (refunds, prices) = (refunds(life).await, prices(life).await);
    let mut lines = Vec::new();
    for ours in attempts(life).await {
        let (captured, refunded) = booked.get(&ours.order_id).copied().unwrap_or_default();
        let found = life.bench.direct.payment_by_order_id(Account::Billing, &ours.order_id).await;
        let status = match found {
            LookupOutcome::Found(payment) => Some(payment.status.as_str().to_owned()),
            LookupOutcome::NotFound { .. } => None,
            LookupOutcome::Unavailable(why) => panic!("{why:?}"),
        };
        let name = watch::order(life, &ours.order_id);
        let price = prices.get(&ours.id).copied().unwrap_or_default();
        let (refunded_by_us, given_back, unwanted) = refunds.get(&ours.id).copied().unwrap_or_default();
        lines.push(Line {
            ours,
            name,
            price,
            refunded_by_us,
            given_back,
            unwanted,
            captured,
            refunded,
            status,
        });
    }
    lines
}

/// What the gateway captured of each order, and gave back.
fn booked(life: &Life<'_>) -> BTreeMap<String, (i64, i64)> {
    let mut booked: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for entry in life.bench.sandbox.ledger(&LedgerQuery::default()).entries {
        let sums = booked.entry(entry.order_id.clone()).or_default();
        match entry.kind {
            EntryKind::Capture => sums.0 += entry.amount,
            EntryKind::Refund => sums.1 += entry.amount,
        }
    }
    booked
}

/// What we gave back of each payment: all, what people wanted, and whether it should never have been captured.
async fn refunds(life: &Life<'_>) -> BTreeMap<Uuid, (i64, i64, bool)> {
    let refunds: Vec<(Uuid, i64, i64, bool)> = sqlx::query_as(
        "select payment_id, coalesce(sum(amount) filter (where status = 'completed'), 0)::bigint,
                coalesce(sum(amount) filter (where status = 'completed' and requested_by <> 'worker'), 0)::bigint,
                bool_or(request_key = 'landed_after_cancel')
           from refunds group by payment_id",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    refunds.into_iter().map(|(id, all, given, unwanted)| (id, (all, given, unwanted))).collect()
}

/// What people agreed to pay for the period of each attempt; nothing where they agreed to none of it.
async fn prices(life: &Life<'_>) -> BTreeMap<Uuid, i64> {
    let prices: Vec<(Uuid, i32)> = sqlx::query_as(
        "select payment.id, terms.amount
           from payments payment join invoices invoice on invoice.id = payment.invoice_id
           join remembered.terms terms on terms.subscription_id = payment.subscription_id
            and invoice.period_start >= effective_on and (until is null or invoice.period_start < until)
          where terms.is_agreed",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    prices.into_iter().map(|(id, amount)| (id, amount.into())).collect()
}

async fn attempts(life: &Life<'_>) -> Vec<Payment> {
    let mut conn = life.bench.desk().acquire().await.unwrap();
    let mut all = Vec::new();
    for customer in &life.customers {
        let page =
            common::store::payments::page_of_subscription(&mut conn, customer.subscription_id, None, 10_000);
        all.extend(page.await.unwrap());
    }
    all
}
