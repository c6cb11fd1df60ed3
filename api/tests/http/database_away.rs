//! While the database is away: 503 and when to come back; what was acknowledged is still there afterwards.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use common::store;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, PgPool};

use crate::support::{Api, CRON_SECRET, Customer, order};

/// A pool for a database to which nobody answers.
fn nowhere() -> PgPool {
    let options = PgPoolOptions::new().acquire_timeout(Duration::from_millis(300));
    options.connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap()
}

/// A pool such as the program has, for the same database.
fn own_pool(pool: &PgPool) -> PgPool {
    let url = pool.connect_options().to_url_lossy().to_string();
    store::pool(&url.into(), 5).unwrap()
}

#[tokio::test]
async fn every_route_that_needs_the_database_says_when_to_come_back() {
    let (api, customer) = (Api::new(nowhere()), Customer::new(1));
    let cancel = json!({ "subscriptionId": "sub_0192f0c15c0070008000000000000001", "reason": "" });
    let scan = Request::builder().uri("/api/cron/billing");
    let scan = scan.header(header::AUTHORIZATION, format!("Bearer {CRON_SECRET}"));
    let webhook = Request::builder().method(Method::POST).uri("/api/webhooks/toss");
    for answer in [
        api.send(webhook.body(Body::from("{}")).unwrap()).await,
        api.confirm(&customer, &order("ORDER_123456")).await,
        api.get(&customer, "/api/payments/confirm/ORDER_123456").await,
        api.post(&customer, "/api/subscriptions/cancel", &cancel).await,
        api.get(&customer, "/api/subscriptions").await,
        api.get(&customer, "/api/subscriptions/sub_0192f0c15c0070008000000000000001").await,
        api.get(&customer, "/api/plans").await,
        api.get(&customer, "/readyz").await,
        api.send(scan.body(Body::empty()).unwrap()).await,
    ] {
        answer.assert_problem(503, "unavailable");
        assert_eq!(answer.headers[header::RETRY_AFTER], "5");
        assert!(!answer.body.to_string().contains("127.0.0.1"), "an inner address leaks: {}", answer.body);
    }
    let alive = customer.request(Method::GET, "/healthz").body(Body::empty()).unwrap();
    assert_eq!(api.send(alive).await.status, 200);
}

/// The plans of statements that a session has prepared no longer fit what they return.
#[sqlx::test(migrations = "../migrations")]
async fn a_changed_column_costs_no_request_its_answer(pool: PgPool) {
    let (api, customer) = (Api::new(own_pool(&pool)), Customer::new(1));
    assert_eq!(api.confirm(&customer, &order("ORDER_000001")).await.status, 202);
    assert_eq!(api.get(&customer, "/api/subscriptions").await.status, 200);
    for length in [200, 201] {
        let change = format!("alter table subscriptions alter column customer_name type varchar({length})");
        let change = sqlx::AssertSqlSafe(change);
        sqlx::raw_sql(change).execute(&pool).await.unwrap();
        let answer = if length == 200 {
            api.get(&customer, "/api/subscriptions").await
        } else {
            // The first statement of the purchase reads the customer's subscriptions.
            api.confirm(&Customer::new(2), &order("ORDER_000002")).await
        };
        assert!(answer.status.is_success(), "{length}: {}", answer.body);
    }
}

#[tokio::test]
async fn bad_input_is_refused_even_then() {
    let api = Api::new(nowhere());
    let answer = api.post(&Customer::new(1), "/api/payments/confirm", &json!({})).await;
    answer.assert_invalid("paymentKey");
}

#[sqlx::test(migrations = "../migrations")]
async fn broken_connections_lose_nothing_and_the_next_is_served(pool: PgPool) {
    let (api, customer) = (Api::new(own_pool(&pool)), Customer::new(1));
    assert_eq!(api.confirm(&customer, &order("ORDER_123456")).await.status, 202);
    let before = api.rows().await;
    let mut own = api.pool.acquire().await.unwrap().detach();
    // A write and a read: neither notices.
    let killed = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
    let _: i64 = sqlx::query_scalar(killed).fetch_one(&mut own).await.unwrap();
    let answer = api.confirm(&customer, &order("ORDER_123456")).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let _: i64 = sqlx::query_scalar(killed).fetch_one(&mut own).await.unwrap();
    assert_eq!(api.get(&customer, "/api/subscriptions").await.status, 200);
    assert_eq!(api.rows().await, before);
}
