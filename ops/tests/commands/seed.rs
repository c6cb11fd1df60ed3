//! Subscriptions as the other processes would have left them.

use chrono::{DateTime, TimeDelta, Utc};
use common::commands::confirm::{Confirmation, record_confirmation};
use common::domain::actor::{Actor, Reason};
use common::domain::calendar::{Cycle, Period};
use common::domain::invoice::{Invoice, InvoiceStatus};
use common::domain::money::Won;
use common::domain::outcome::Receipt;
use common::domain::payment::Payment;
use common::domain::subscription::Subscription;
use common::email::Brand;
use common::id::{new_id, new_key};
use common::store::{invoices, payments, subscriptions};
use ops::action::{Acting, Author, parse_reason};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

/// 22 November 2026, nine in the morning in Seoul.
pub(crate) fn start() -> DateTime<Utc> {
    "2026-11-22T00:00:00Z".parse().unwrap()
}

/// An operator of this name at the command line.
pub(crate) fn acting(name: &str, now: DateTime<Utc>) -> Acting {
    let brand = Brand { name: "집체크".into(), public_url: "https://zip.example".parse().unwrap() };
    Acting { actor: Actor::command_line(name, "root", None), brand, now }
}

/// The same for a change that is no action.
pub(crate) fn author(name: &str, now: DateTime<Utc>) -> Author {
    Author { actor: Actor::command_line(name, "root", None), reason: reason("a test"), now }
}

pub(crate) fn reason(text: &str) -> Reason {
    parse_reason(text).unwrap()
}

/// Confirmed, paid, active, with a sealed billing key.
pub(crate) async fn active_subscription(conn: &mut PgConnection) -> Subscription {
    let attempt = confirmed(conn).await;
    let receipt = Receipt {
        payment_key: format!("key_{}", attempt.id.simple()),
        paid_at: start(),
        method: "카드".into(),
        receipt_url: None,
        secret: Some("webhook-secret".into()),
        trace_id: Some("trace-1".into()),
        sealed_billing_key: None,
        card_number: None,
    };
    let (id, now) = (attempt.subscription_id, start() + TimeDelta::seconds(2));
    let period = Cycle::Monthly.period(find(conn, id).await.anchor_on, 0).unwrap();
    payments::mark_sent(conn, attempt.id, now).await.unwrap();
    payments::complete(conn, attempt.id, &receipt, now).await.unwrap();
    invoices::mark_paid(conn, attempt.invoice_id, now).await.unwrap();
    subscriptions::begin_period(conn, id, period, now).await.unwrap();
    subscriptions::keep_card(conn, id, "k1:c2VhbGVk", Some("43001234****0001"), now).await.unwrap();
    find(conn, id).await
}

/// As [`active_subscription`], with the invoice of `period_no` held for an operator since its end.
pub(crate) async fn held_invoice(conn: &mut PgConnection, of: &Subscription, period_no: u32) -> Invoice {
    let period = of.cycle.period(of.anchor_on, period_no).unwrap();
    let invoice = Invoice {
        id: new_id(start()),
        subscription_id: of.id,
        period,
        due_on: period.start,
        amount: of.amount,
        status: InvoiceStatus::Open,
        first_failed_at: None,
        next_attempt_at: None,
        held_since: Some(long_after()),
        released_at: None,
    };
    invoices::insert_missing(conn, std::slice::from_ref(&invoice), long_after()).await.unwrap();
    invoice
}

/// The paid period moves on as far as `period_no`.
pub(crate) async fn paid_up_to(conn: &mut PgConnection, of: &Subscription, period_no: u32) -> Period {
    let period = of.cycle.period(of.anchor_on, period_no).unwrap();
    subscriptions::begin_period(conn, of.id, period, long_after()).await.unwrap();
    period
}

/// 31 January 2027, when the periods from 22 December and 22 January have begun.
pub(crate) fn long_after() -> DateTime<Utc> {
    "2027-01-31T00:00:00Z".parse().unwrap()
}

pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Subscription {
    subscriptions::find(conn, id).await.unwrap().unwrap()
}

/// The invoice, its lock let go again.
pub(crate) async fn invoice(conn: &mut PgConnection, id: Uuid) -> Invoice {
    let mut tx = conn.begin().await.unwrap();
    invoices::lock(&mut tx, id).await.unwrap().unwrap()
}

async fn confirmed(conn: &mut PgConnection) -> Payment {
    let confirmation = Confirmation {
        user_id: new_key(),
        payment_key: "tviva_key".into(),
        order_id: format!("order-{}", new_key().simple()),
        amount: Won::new(9_900).unwrap(),
        plan: "personal".into(),
        cycle: Cycle::Monthly,
        customer_key: "customer-key-of-a-customer".into(),
        customer_email: "hong@example.com".into(),
        customer_name: "홍길동".into(),
    };
    record_confirmation(conn, &confirmation, start()).await.unwrap()
}
