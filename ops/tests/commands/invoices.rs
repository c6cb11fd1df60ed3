//! Held invoices: charged or forgiven by an operator, and only by one.

use common::domain::calendar::seoul_midnight;
use common::domain::charge::{Decision, Facts, decide};
use common::domain::invoice::InvoiceStatus;
use common::domain::subscription::SubscriptionStatus;
use common::id::subscription_ref;
use common::store::{events, subscriptions};
use ops::{OpsError, invoices, jobs};
use serde_json::json;
use sqlx::PgPool;

use crate::seed::{acting, active_subscription, find, held_invoice, invoice, long_after, paid_up_to, reason};

#[sqlx::test(migrations = "../migrations")]
async fn a_released_invoice_has_a_job_though_its_period_is_over(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = held_invoice(&mut conn, &subscription, 1).await.id;
    let held = serde_json::to_value(invoices::held(&mut conn).await.unwrap()).unwrap();
    assert_eq!(held[0]["id"], json!(id));
    assert_eq!(held[0]["subscriptionId"], subscription_ref(subscription.id));

    let released =
        invoices::charge(&mut conn, id, &reason("charge it"), &acting("kim", long_after())).await.unwrap();
    let job = &jobs::show(&mut conn, released.job).await.unwrap().0[0];
    assert_eq!((job.kind.as_str(), &job.args["invoiceId"]), ("charge-subscription", &json!(id)));
    assert_eq!(job.args["subscriptionId"], subscription_ref(subscription.id));
    assert!(invoices::held(&mut conn).await.unwrap().0.is_empty());

    let invoice = invoice(&mut conn, id).await;
    assert_eq!((invoice.held_since, invoice.released_at), (None, Some(long_after())));
    let facts = Facts {
        subscription: &subscription,
        invoice: &invoice,
        attempts: &[],
        skips: 0,
        charging_enabled: true,
        now: long_after(),
    };
    assert_eq!(decide(facts), Decision::Charge);
    let events = events::of_subscription(&mut conn, subscription.id).await.unwrap();
    assert_eq!((events[0].actor.as_str(), events[0].what.as_str()), ("operator:kim", "invoice.released"));
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_invoice_that_waits_is_charged_or_forgiven(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = held_invoice(&mut conn, &subscription, 1).await.id;
    invoices::charge(&mut conn, id, &reason("charge it"), &acting("kim", long_after())).await.unwrap();
    let twice = invoices::charge(&mut conn, id, &reason("charge it"), &acting("kim", long_after()))
        .await
        .unwrap_err();
    assert!(matches!(twice, OpsError::Refused(_)), "{twice}");
    let late = invoices::forgive(&mut conn, id, &reason("kindness"), &acting("kim", long_after()))
        .await
        .unwrap_err();
    assert!(matches!(late, OpsError::Refused(_)), "{late}");
    let missing =
        invoices::charge(&mut conn, subscription.id, &reason("charge it"), &acting("kim", long_after()))
            .await
            .unwrap_err();
    assert!(matches!(missing, OpsError::NotFound(_)), "{missing}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invoice_of_a_canceled_one_is_not_charged_any_more(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = held_invoice(&mut conn, &subscription, 1).await.id;
    subscriptions::cancel(&mut conn, subscription.id, "too expensive", long_after()).await.unwrap();
    let refused = invoices::charge(&mut conn, id, &reason("charge it"), &acting("kim", long_after()))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("canceled"), "{refused}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forgiven_invoice_is_void_and_leaves_its_reason(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = held_invoice(&mut conn, &subscription, 1).await.id;
    invoices::forgive(&mut conn, id, &reason("our outage"), &acting("kim", long_after())).await.unwrap();
    assert_eq!(invoice(&mut conn, id).await.status, InvoiceStatus::Void);
    assert_eq!(invoices::held(&mut conn).await.unwrap().to_string(), "none\n");
    let event = &events::of_subscription(&mut conn, subscription.id).await.unwrap()[0];
    assert_eq!(event.what, "invoice.forgiven");
    assert!(event.why.ends_with("9,900원 for 2026-12-22 to 2027-01-22: our outage"), "{}", event.why);
}

#[sqlx::test(migrations = "../migrations")]
async fn forgiving_the_last_unpaid_invoice_lets_the_scan_go_on(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = held_invoice(&mut conn, &subscription, 1).await.id;
    subscriptions::mark_past_due(&mut conn, subscription.id, long_after(), long_after()).await.unwrap();
    invoices::forgive(&mut conn, id, &reason("our outage"), &acting("kim", long_after())).await.unwrap();
    let after = find(&mut conn, subscription.id).await;
    assert_eq!(after.status, SubscriptionStatus::Active);
    assert_eq!(after.next_billing_date, seoul_midnight(after.current_period_end));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_older_period_paid_late_never_moves_it_back(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let current = paid_up_to(&mut conn, &subscription, 2).await;
    paid_up_to(&mut conn, &subscription, 1).await;
    let after = find(&mut conn, subscription.id).await;
    assert_eq!((after.period_no, after.current_period_end), (2, current.end));
    assert_eq!(after.next_billing_date, seoul_midnight(current.end));
}
