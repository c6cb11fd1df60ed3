//! Confirming: recorded once with its job, answered with what became of it.

use std::{sync::Arc, time::Duration};

use axum::http::{Method, header};
use common::domain::calendar::{Cycle, seoul_date};
use common::store::SETTLED_CHANNEL;
use serde_json::{Value, json};
use sqlx::PgPool;
use testing::eventually;
use tokio::net::TcpListener;

use crate::support::{Api, Customer, order, order_with, settings};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";
const STATUS: &str = "/api/payments/confirm/ORDER_1729657033847";

#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_is_recorded_with_its_job_before_the_answer(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let answer = api.confirm(&customer, &order(ORDER)).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body, json!({ "success": true, "status": "processing", "statusUrl": STATUS }));
    assert_eq!(answer.headers[header::LOCATION], STATUS);
    assert_eq!(answer.headers[header::RETRY_AFTER], "2");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    // User, subscription, invoice, payment, job; no e-mail, no event.
    assert_eq!(api.rows().await, [1, 1, 1, 1, 1, 0, 0]);
    assert_eq!(api.get(&customer, STATUS).await.body, answer.body);
    let (kind, key): (String, String) =
        sqlx::query_as("select kind, (select customer_key from subscriptions) from jobs")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!((kind, key), ("confirm-payment".to_owned(), customer.id.to_string()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_carries_the_trace_of_the_request_that_made_it(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = customer
        .request(Method::POST, "/api/payments/confirm")
        .header(header::CONTENT_TYPE, "application/json")
        .header("traceparent", traceparent);
    api.send(request.body(order(ORDER).to_string().into()).unwrap()).await;
    let kept: String =
        sqlx::query_scalar("select trace_context from jobs").fetch_one(&api.pool).await.unwrap();
    assert_eq!(kept, traceparent);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paid_order_is_answered_as_the_guide_says(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, false).await;
    let answer = api.confirm(&customer, &order(ORDER)).await;
    assert_eq!(answer.status, 200);
    let today = seoul_date(common::clock::Clock::Test(api.clock.clone()).now());
    let next = Cycle::Yearly.period_start(today, 1).unwrap();
    let subscription = &answer.body["subscription"];
    assert!(subscription["id"].as_str().unwrap().starts_with("sub_"));
    let expected = json!({
        "id": subscription["id"], "plan": "personal", "billingCycle": "yearly", "nextBillingDate": next,
        "status": "active", "amount": 94_800, "currentPeriodStart": today, "currentPeriodEnd": next,
        "hasAccess": true, "card": null, "nextAction": "register_payment_method",
    });
    let whole = json!({ "success": true, "subscription": expected, "nextAction": "register_payment_method" });
    assert_eq!(answer.body, whole);
    assert_eq!(api.get(&customer, STATUS).await.body, whole);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_order_that_waits_for_its_deposit_names_the_account(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::wait_for_deposit(&api.pool, ORDER, "2027-01-05T14:59:59Z".parse().unwrap()).await;
    let account = json!({
        "bank": "우리은행", "accountNumber": "X6505636518308", "holderName": "홍길동", "amount": 94_800,
        "dueAt": "2027-01-05T14:59:59Z",
    });
    let whole = json!({
        "success": true, "status": "waiting_for_deposit", "statusUrl": STATUS, "virtualAccount": account,
    });
    let again = api.confirm(&customer, &order(ORDER)).await;
    assert_eq!((again.status.as_u16(), again.body), (202, whole.clone()));
    let asked = api.get(&customer, STATUS).await;
    assert_eq!((asked.status.as_u16(), asked.body), (202, whole));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_that_came_with_the_payment_leaves_nothing_to_do(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let answer = api.get(&customer, STATUS).await;
    assert_eq!(answer.body["subscription"]["card"], json!({ "number": "43301234****123*" }));
    assert_eq!(answer.body["nextAction"], Value::Null);
    assert_eq!(answer.body["subscription"]["nextAction"], Value::Null);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_order_twenty_times_at_once_is_one_payment(pool: PgPool) {
    let api = Arc::new(Api::new(pool));
    let twenty: Vec<_> = (0..20)
        .map(|_| {
            let api = Arc::clone(&api);
            tokio::spawn(async move { api.confirm(&Customer::new(1), &order(ORDER)).await })
        })
        .collect();
    for one in twenty {
        let answer = one.await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["statusUrl"]), (202, &json!(STATUS)));
    }
    assert_eq!(api.rows().await, [1, 1, 1, 1, 1, 0, 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_order_with_other_content_is_a_conflict(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, false).await;
    let before = api.rows().await;
    for (field, value) in [
        ("paymentKey", json!("another")),
        ("plan", json!("pro")),
        ("billingCycle", json!("monthly")),
        ("amount", json!(1)),
    ] {
        api.confirm(&customer, &order_with(field, value)).await.assert_problem(409, "order_conflict");
    }
    let other = api.confirm(&Customer::new(2), &order(ORDER)).await;
    other.assert_problem(409, "order_conflict");
    assert_eq!(other.body["subscription"], Value::Null);
    api.get(&Customer::new(2), STATUS).await.assert_problem(404, "not_found");
    assert_eq!(api.rows().await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_declined_order_is_402_with_tosss_code_and_stays_declined(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::decline(&api.pool, ORDER).await;
    for answer in [api.confirm(&customer, &order(ORDER)).await, api.get(&customer, STATUS).await] {
        answer.assert_problem(402, "payment_declined");
        assert_eq!(answer.body["tossCode"], "REJECT_CARD_PAYMENT");
        assert_eq!(answer.body["message"], "한도초과 혹은 잔액부족으로 결제에 실패했습니다.");
    }
    assert_eq!(api.rows().await, [1, 1, 1, 1, 1, 0, 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_order_withdrawn_before_the_bank_was_asked_is_no_decline(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::withdraw(&api.pool, ORDER).await;
    let answer = api.get(&customer, STATUS).await;
    answer.assert_problem(409, "payment_canceled");
    assert_eq!(answer.body["tossCode"], Value::Null);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_is_answered_though_nobody_announces_it(pool: PgPool) {
    let api = Arc::new(Api::with(pool, settings(Duration::from_mins(1))));
    let waiting = {
        let api = Arc::clone(&api);
        tokio::spawn(async move { api.confirm(&Customer::new(1), &order(ORDER)).await })
    };
    until_recorded(&api.pool).await;
    // No listener runs here: the router alone was built.
    worker::pay(&api.pool, ORDER, false).await;
    let answer = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    assert_eq!(answer.status, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_settled_payment_is_announced_to_the_waiting_confirmation(pool: PgPool) {
    let api = Api::with(pool, settings(Duration::from_secs(30)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(api::serve(api.app(), listener, async move { drop(stopped.await) }));
    until_listening(&api.pool).await;
    let waiting = tokio::time::timeout(Duration::from_secs(20), async {
        let (customer, order) = (Customer::new(1), order(ORDER));
        let settle = async {
            until_recorded(&api.pool).await;
            worker::pay(&api.pool, ORDER, false).await;
        };
        tokio::join!(api.confirm(&customer, &order), settle).0
    });
    assert_eq!(waiting.await.unwrap().status, 200);
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_stops_answers_who_waits_and_ends(pool: PgPool) {
    let api = Arc::new(Api::with(pool, settings(Duration::from_mins(1))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(api::serve(api.app(), listener, async move { drop(stopped.await) }));
    let waiting = {
        let api = Arc::clone(&api);
        tokio::spawn(async move { api.confirm(&Customer::new(1), &order(ORDER)).await })
    };
    until_recorded(&api.pool).await;
    stop.send(()).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    assert_eq!(answer.status, 202);
    serving.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_purchase_names_the_subscription_and_what_to_do(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    let second = order("ORDER_SECOND");
    let refused = api.confirm(&customer, &second).await;
    refused.assert_problem(409, "already_subscribed");
    assert_eq!(refused.body.get("nextAction"), Some(&Value::Null));
    worker::pay(&api.pool, ORDER, false).await;
    let paid = api.confirm(&customer, &order(ORDER)).await;
    let refused = api.confirm(&customer, &second).await;
    refused.assert_problem(409, "already_subscribed");
    assert_eq!(refused.body["subscriptionId"], paid.body["subscription"]["id"]);
    assert_eq!(refused.body["nextAction"], "register_payment_method");
    let cancel = json!({ "subscriptionId": refused.body["subscriptionId"] });
    assert_eq!(api.post(&customer, "/api/subscriptions/cancel", &cancel).await.status, 200);
    let refused = api.confirm(&customer, &second).await;
    refused.assert_problem(409, "already_subscribed");
    assert_eq!(refused.body["nextAction"], "resume");
    assert_eq!(api.rows().await[1..5], [1, 1, 1, 2], "one subscription, invoice and payment");
}

async fn until_recorded(pool: &PgPool) {
    until(pool, "select count(*) from payments", "the payment to be recorded").await;
}

async fn until_listening(pool: &PgPool) {
    let sql = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and query = 'LISTEN \"{SETTLED_CHANNEL}\"'"
    );
    until(pool, &sql, "the API to listen").await;
}

async fn until(pool: &PgPool, count: &str, what: &str) {
    eventually(what, async || {
        let sql = sqlx::AssertSqlSafe(count.to_owned());
        sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap() > 0
    })
    .await;
}
