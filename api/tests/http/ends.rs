//! Ending at once over HTTP: operators only, each field named, the same request is one end.

use std::time::Duration;

use axum::http::{Method, Request, header};
use common::{id::new_id, store::operators};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::support::{Answer, Api, Customer, order, settings};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";
/// As `billing operator add --token` takes it: one of the merchant's own choice.
const TOKEN: &str = "a-token-of-our-own-choice-0123456789";

/// A paid yearly subscription, and an operator.
async fn subscribed(pool: PgPool) -> (Api, Customer, String) {
    let (api, customer) = (Api::with(pool, settings(Duration::ZERO)), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let mut conn = api.pool.acquire().await.unwrap();
    let id = new_id(common::clock::Clock::Test(api.clock.clone()).now());
    operators::put(&mut conn, id, "kim@example.com", None, &Sha256::digest(TOKEN.as_bytes())).await.unwrap();
    drop(conn);
    let listed = api.get(&customer, "/api/subscriptions").await;
    let id = listed.body["subscriptions"][0]["id"].as_str().unwrap().to_owned();
    (api, customer, id)
}

async fn end_as(api: &Api, token: &str, id: &str, key: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/subscriptions/{id}/end"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    api.send(request.body(body.to_string().into()).unwrap()).await
}

async fn count(api: &Api) -> (i64, i64) {
    sqlx::query_as("select (select count(*) from subscription_endings), (select count(*) from refunds)")
        .fetch_one(&api.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_operator_ends_and_a_wrong_field_is_named(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let body = json!({ "reason": "고객 요청" });
    end_as(&api, "op_0123456789abcdefghijklmnopqrstuw", &id, None, &body)
        .await
        .assert_problem(401, "unauthorized");
    let by_customer = api.post(&customer, &format!("/api/subscriptions/{id}/end"), &body).await;
    by_customer.assert_problem(401, "unauthorized");
    for wrong in [json!("half"), json!(1), json!("")] {
        let body = json!({ "reason": "고객 요청", "refund": wrong });
        end_as(&api, TOKEN, &id, None, &body).await.assert_invalid("refund");
    }
    for wrong in [json!(null), json!(" "), json!("가".repeat(201))] {
        end_as(&api, TOKEN, &id, None, &json!({ "reason": wrong })).await.assert_invalid("reason");
    }
    end_as(&api, TOKEN, &id, Some("a b"), &body).await.assert_invalid("Idempotency-Key");
    let unknown = "sub_0192f0c15c0070008000000000000001";
    end_as(&api, TOKEN, unknown, None, &body).await.assert_problem(404, "not_found");
    assert_eq!(count(&api).await, (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_end_is_recorded_once_with_its_refund_before_the_answer(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let body = json!({ "reason": "고객 요청" });
    let first = end_as(&api, TOKEN, &id, Some("click-1"), &body).await;
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(first.body["subscription"]["status"], "canceled");
    assert_eq!(first.body["subscription"]["hasAccess"], false);
    let days = first.body["periodDays"].as_i64().unwrap();
    assert_eq!(first.body["unusedDays"].as_i64(), Some(days - 1));
    assert_eq!(first.body["refund"]["amount"].as_i64(), Some(94_800 * (days - 1) / days));
    let (one, other) =
        tokio::join!(end_as(&api, TOKEN, &id, Some("click-1"), &body), end_as(&api, TOKEN, &id, None, &body));
    assert_eq!((&one.body, &other.body), (&first.body, &first.body));
    let changed = json!({ "reason": "고객 요청", "refund": "none" });
    end_as(&api, TOKEN, &id, Some("click-1"), &changed).await.assert_problem(409, "idempotency_conflict");
    end_as(&api, TOKEN, &id, Some("click-2"), &changed).await.assert_problem(409, "already_ended");
    assert_eq!(count(&api).await, (1, 1));
    let resumed = api.post(&customer, &format!("/api/subscriptions/{id}/resume"), &json!({})).await;
    resumed.assert_problem(409, "period_ended");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_end_without_a_refund_is_done_at_once(pool: PgPool) {
    let (api, _, id) = subscribed(pool).await;
    let answer = end_as(&api, TOKEN, &id, None, &json!({ "reason": "약관 위반", "refund": "none" })).await;
    assert_eq!((answer.status.as_u16(), &answer.body["refund"]), (200, &Value::Null), "{}", answer.body);
    assert_eq!(count(&api).await, (1, 0));
}
