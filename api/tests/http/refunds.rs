//! Refunds over HTTP: operators only, each field named, one request under one key.

use std::time::Duration;

use axum::http::{Method, Request, header};
use common::id::new_id;
use common::store::{announce_settled, operators, payments, refunds};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, Api, Customer, order, settings};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";
const TOKEN: &str = "op_0123456789abcdefghijklmnopqrstuv";

async fn paid(pool: PgPool, wait: Duration) -> (Api, Uuid) {
    let (api, customer) = (Api::with(pool, settings(Duration::ZERO)), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let mut conn = api.pool.acquire().await.unwrap();
    let hash = Sha256::digest(TOKEN.as_bytes());
    let id = new_id(common::clock::Clock::Test(api.clock.clone()).now());
    operators::put(&mut conn, id, "kim@example.com", None, &hash).await.unwrap();
    let payment = payments::find_by_order(&mut conn, ORDER).await.unwrap().unwrap();
    drop(conn);
    (Api::with(api.pool, settings(wait)), payment.id)
}

async fn refund_as(api: &Api, token: &str, id: &str, key: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/payments/{id}/refund"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    api.send(request.body(body.to_string().into()).unwrap()).await
}

async fn refund(api: &Api, id: Uuid, key: Option<&str>, body: &Value) -> Answer {
    refund_as(api, TOKEN, &id.to_string(), key, body).await
}

async fn count(api: &Api) -> i64 {
    sqlx::query_scalar("select count(*) from refunds").fetch_one(&api.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_operators_token_gives_money_back(pool: PgPool) {
    let (api, id) = paid(pool, Duration::ZERO).await;
    let body = json!({ "reason": "고객 요청" });
    for token in ["", "op_", "op_0123456789abcdefghijklmnopqrstuw", crate::support::CRON_SECRET] {
        refund_as(&api, token, &id.to_string(), None, &body).await.assert_problem(401, "unauthorized");
    }
    let customer = api.post(&Customer::new(1), &format!("/api/payments/{id}/refund"), &body).await;
    customer.assert_problem(401, "unauthorized");
    assert_eq!(count(&api).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_leaves_one_row_of_the_operators_log(pool: PgPool) {
    let (api, id) = paid(pool, Duration::ZERO).await;
    let body = json!({ "reason": "환불", "amount": 1000 });
    for _ in 0..2 {
        assert_eq!(refund(&api, id, Some("one"), &body).await.status, 202);
    }
    let rows: Vec<(String, String, String, Value, Value)> = sqlx::query_as(
        "select actor, channel, reason, before->'refunded', after->'refunded' from operator_actions",
    )
    .fetch_all(&api.pool)
    .await
    .unwrap();
    let expected = ("operator:kim@example.com".into(), "api".into(), "환불".into(), json!(0), json!(1000));
    assert_eq!(rows, [expected]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_field_is_named_and_nothing_is_written(pool: PgPool) {
    let (api, id) = paid(pool, Duration::ZERO).await;
    for amount in [json!(0), json!(-1), json!(1.5), json!("100"), json!(94_801)] {
        let body = json!({ "amount": amount, "reason": "고객 요청" });
        refund(&api, id, None, &body).await.assert_invalid("amount");
    }
    for reason in [json!(null), json!(""), json!(" "), json!(1), json!("가".repeat(201)), json!("a\u{0}")] {
        refund(&api, id, None, &json!({ "reason": reason })).await.assert_invalid("reason");
    }
    let body = json!({ "reason": "고객 요청" });
    for key in [String::new(), "k".repeat(256), "a b".to_owned()] {
        refund(&api, id, Some(&key), &body).await.assert_invalid("Idempotency-Key");
    }
    for unknown in ["1", "0192f0c1-5c00-7000-8000-000000000001"] {
        refund_as(&api, TOKEN, unknown, None, &body).await.assert_problem(404, "not_found");
    }
    assert_eq!(count(&api).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payment_that_captured_nothing_is_not_refundable(pool: PgPool) {
    let (api, _) = paid(pool, Duration::ZERO).await;
    api.confirm(&Customer::new(2), &order("ORDER_OTHER")).await;
    worker::decline(&api.pool, "ORDER_OTHER").await;
    let mut conn = api.pool.acquire().await.unwrap();
    let other = payments::find_by_order(&mut conn, "ORDER_OTHER").await.unwrap().unwrap();
    let answer = refund(&api, other.id, None, &json!({ "reason": "고객 요청" })).await;
    answer.assert_problem(409, "not_refundable");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_is_recorded_once_per_key_before_the_answer(pool: PgPool) {
    let (api, id) = paid(pool, Duration::ZERO).await;
    let body = json!({ "amount": 10_000, "reason": "고객 요청" });
    let first = refund(&api, id, Some("click-1"), &body).await;
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(first.body["status"], "processing");
    assert_eq!(first.body["refund"]["amount"], 10_000);
    assert_eq!(first.body["refund"]["paymentId"], json!(id));
    assert_eq!(refund(&api, id, Some("click-1"), &body).await.body, first.body);
    let other = json!({ "amount": 10_001, "reason": "고객 요청" });
    refund(&api, id, Some("click-1"), &other).await.assert_problem(409, "idempotency_conflict");
    refund(&api, id, None, &body).await.assert_problem(409, "refund_in_progress");
    assert_eq!(count(&api).await, 1);
    let jobs: i64 = sqlx::query_scalar("select count(*) from jobs where kind = 'refund-payment'")
        .fetch_one(&api.pool)
        .await
        .unwrap();
    assert_eq!(jobs, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_that_settles_in_time_is_answered_with_its_payment(pool: PgPool) {
    let (api, id) = paid(pool, Duration::from_secs(20)).await;
    let body = json!({ "reason": "고객 요청" });
    let worker = async {
        let mut tx = loop {
            let mut tx = api.pool.begin().await.unwrap();
            let found: Option<Uuid> =
                sqlx::query_scalar("select id from refunds").fetch_optional(&mut *tx).await.unwrap();
            if let Some(refund_id) = found {
                sqlx::query("update refunds set status = 'completed', settled_at = created_at")
                    .execute(&mut *tx)
                    .await
                    .unwrap();
                assert!(refunds::completed_of(&mut tx, id).await.unwrap().get() == 94_800);
                payments::mark_refunded(&mut tx, id, true).await.unwrap();
                announce_settled(&mut tx, &refund_id.to_string()).await.unwrap();
                break tx;
            }
            tokio::task::yield_now().await;
        };
        sqlx::query("select 1").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(refund(&api, id, None, &body), worker);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["refund"]["status"], "completed");
    assert_eq!(answer.body["refund"]["amount"], 94_800);
    assert_eq!(answer.body["payment"]["status"], "refunded");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_that_toss_refuses_says_so_with_its_code(pool: PgPool) {
    let (api, id) = paid(pool, Duration::ZERO).await;
    let body = json!({ "reason": "고객 요청" });
    refund(&api, id, Some("click-1"), &body).await;
    let sql = "update refunds set status = 'failed', settled_at = created_at,
                      toss_code = 'NOT_CANCELABLE_PAYMENT', toss_message = '취소 할 수 없는 결제 입니다.'";
    sqlx::query(sql).execute(&api.pool).await.unwrap();
    let answer = refund(&api, id, Some("click-1"), &body).await;
    answer.assert_problem(409, "refund_refused");
    assert_eq!(answer.body["tossCode"], "NOT_CANCELABLE_PAYMENT");
    assert_eq!(refund(&api, id, Some("click-2"), &body).await.status, 202);
}
