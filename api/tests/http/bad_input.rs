//! Whatever is wrong with a request: its own error, and nothing written.

use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Api, Customer, order, order_with};

const NOTHING: [i64; 7] = [0; 7];

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_field_is_named_and_nothing_is_written(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let wrong = [
        ("paymentKey", vec![json!(""), json!(1), json!(null), json!("a\u{0}"), json!("a".repeat(201))]),
        (
            "orderId",
            vec![json!(""), json!("short"), json!("ORDER 1729"), json!("a".repeat(65)), json!(123_456)],
        ),
        (
            "amount",
            vec![
                json!(0),
                json!(-1),
                json!(-94_800),
                json!(94_800.5),
                json!(94_800.0),
                json!("94800"),
                json!(null),
                json!([94_800]),
                json!(3_000_000_000_i64),
                json!(u64::MAX),
                json!(1e300),
            ],
        ),
        ("customerEmail", vec![json!("nobody"), json!("a@b"), json!("a@b.c\r\nBcc: d@e.f"), json!({})]),
        ("customerName", vec![json!(""), json!("  "), json!("a\nb"), json!("가".repeat(101)), json!(false)]),
        ("plan", vec![json!("free"), json!(""), json!("personal\u{0}"), json!("Personal"), json!(1)]),
        ("billingCycle", vec![json!("weekly"), json!("MONTHLY"), json!(""), json!(12)]),
        ("customerKey", vec![json!("a"), json!("a b"), json!("a".repeat(51)), json!("한글한글"), json!(1)]),
    ];
    for (field, values) in wrong {
        for value in values {
            api.confirm(&customer, &order_with(field, value)).await.assert_invalid(field);
        }
    }
    assert_eq!(api.rows().await, NOTHING);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_missing_field_is_named_and_unknown_fields_are_ignored(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let whole = order("ORDER_1729657033847");
    for field in whole.as_object().unwrap().keys() {
        let mut order = whole.clone();
        order.as_object_mut().unwrap().remove(field);
        api.confirm(&customer, &order).await.assert_invalid(field);
    }
    assert_eq!(api.rows().await, NOTHING);
    assert_eq!(api.confirm(&customer, &order_with("price", json!({ "a": [1] }))).await.status, 202);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_servers_price_decides(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    for amount in [1, 100, 9_900, 94_799, 94_801, 190_800] {
        let answer = api.confirm(&customer, &order_with("amount", json!(amount))).await;
        answer.assert_problem(422, "amount_mismatch");
        assert_eq!(answer.body["field"], "amount");
    }
    assert_eq!(api.rows().await, NOTHING);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_body_that_is_not_one_json_object_is_refused(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let path = "/api/payments/confirm";
    let whole = order("ORDER_1729657033847").to_string();
    let twice = whole.replacen('{', "{\"amount\":1,", 1);
    let mut invalid_utf8 = whole.clone().into_bytes();
    let at = whole.find("user@").unwrap();
    invalid_utf8[at] = 0xff;
    for body in [&b""[..], b"{", b"[]", b"null", b"\"x\"", twice.as_bytes(), &invalid_utf8, b"{}{}"] {
        api.post_text(&customer, path, body.to_vec()).await.assert_problem(400, "malformed");
    }
    let mut large = order("ORDER_1729657033847");
    large["more"] = Value::String("x".repeat(16 * 1024));
    api.post(&customer, path, &large).await.assert_problem(413, "too_large");
    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
    {
        let request = customer.request(Method::POST, path);
        let request =
            kind.into_iter().fold(request, |request, kind| request.header(header::CONTENT_TYPE, kind));
        let answer = api.send(request.body(Body::from(whole.clone())).unwrap()).await;
        answer.assert_problem(415, "unsupported_media_type");
    }
    assert_eq!(api.rows().await, NOTHING);
    let request = customer.request(Method::POST, path);
    let request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    assert_eq!(api.send(request.body(Body::from(whole)).unwrap()).await.status, 202);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_with_wrong_fields_is_refused_by_name(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let path = "/api/subscriptions/cancel";
    api.post(&customer, path, &json!({})).await.assert_invalid("subscriptionId");
    api.post(&customer, path, &json!({ "subscriptionId": 1 })).await.assert_invalid("subscriptionId");
    let reason = |reason: Value| json!({ "subscriptionId": "sub_1", "reason": reason });
    api.post(&customer, path, &reason(json!(["x"]))).await.assert_invalid("reason");
    api.post(&customer, path, &reason(json!("가".repeat(501)))).await.assert_invalid("reason");
    api.post(&customer, path, &reason(json!("a\u{0}b"))).await.assert_invalid("reason");
    api.post_text(&customer, path, "{").await.assert_problem(400, "malformed");
    assert_eq!(api.rows().await, NOTHING);
}

#[sqlx::test(migrations = "../migrations")]
async fn too_many_confirmations_of_one_user_wait_a_while(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    for _ in 0..600 {
        api.post_text(&customer, "/api/payments/confirm", "{}").await.assert_invalid("paymentKey");
    }
    let refused = api.confirm(&customer, &order("ORDER_1729657033847")).await;
    refused.assert_problem(429, "too_many_requests");
    let seconds: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(api.rows().await, NOTHING);
    assert_eq!(api.confirm(&Customer::new(2), &order("ORDER_1729657033847")).await.status, 202);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_user_may_try_ten_orders_a_minute(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let wrong = |number| {
        let mut order = order(&format!("ORDER_000000{number}"));
        order["amount"] = json!(1);
        order
    };
    for number in 0..10 {
        api.confirm(&customer, &wrong(number)).await.assert_problem(422, "amount_mismatch");
    }
    api.confirm(&customer, &wrong(10)).await.assert_problem(429, "too_many_requests");
    // The same order again costs nothing.
    api.confirm(&customer, &wrong(9)).await.assert_problem(422, "amount_mismatch");
    api.confirm(&Customer::new(2), &wrong(10)).await.assert_problem(422, "amount_mismatch");
}
