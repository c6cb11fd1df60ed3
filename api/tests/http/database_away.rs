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
fn own_pool(pool: &PgPool, connections: u32) -> PgPool {
    let url = pool.connect_options().to_url_lossy().to_string();
    store::pool(&url.into(), connections).unwrap()
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
async fn change_a_column(pool: &PgPool, length: i32) {
    let change = format!("alter table subscriptions alter column customer_key type varchar({length})");
    sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_changed_column_costs_no_read_its_answer(pool: PgPool) {
    let (api, customer) = (Api::new(own_pool(&pool, 5)), Customer::new(1));
    assert_eq!(api.confirm(&customer, &order("ORDER_000001")).await.status, 202);
    for length in [301, 302] {
        assert_eq!(api.get(&customer, "/api/subscriptions").await.status, 200);
        change_a_column(&pool, length).await;
        let answer = api.get(&customer, "/api/subscriptions").await;
        assert_eq!(answer.status, 200, "{length}: {}", answer.body);
    }
}

/// Only a begin is repeated: the caller of a write that met a stale plan is told to ask again.
#[sqlx::test(migrations = "../migrations")]
async fn a_changed_column_costs_a_write_one_repetition(pool: PgPool) {
    let (api, customer) = (Api::new(own_pool(&pool, 1)), Customer::new(1));
    for _ in 0..2 {
        assert_eq!(api.confirm(&customer, &order("ORDER_000001")).await.status, 202);
    }
    let before = api.rows().await;
    change_a_column(&pool, 301).await;
    // It reads what was recorded before.
    let answer = api.confirm(&customer, &order("ORDER_000001")).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.headers[header::RETRY_AFTER], "5");
    assert_eq!(api.confirm(&customer, &order("ORDER_000001")).await.status, 202);
    assert_eq!(api.rows().await, before);
}

#[tokio::test]
async fn bad_input_is_refused_even_then() {
    let api = Api::new(nowhere());
    let answer = api.post(&Customer::new(1), "/api/payments/confirm", &json!({})).await;
    answer.assert_invalid("paymentKey");
}

#[sqlx::test(migrations = "../migrations")]
async fn broken_connections_lose_nothing_and_the_next_is_served(pool: PgPool) {
    let (api, customer) = (Api::new(own_pool(&pool, 5)), Customer::new(1));
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
    // Counted over a pool that tries its sessions first.
    assert_eq!(Api::new(pool).rows().await, before);
}
