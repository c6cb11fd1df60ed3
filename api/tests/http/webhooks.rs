//! Webhooks as Toss sends them, and as anybody may: kept once, answered 200 at once, looked at by a job.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;
use sqlx::PgPool;

use crate::support::{Answer, Api};

const EVENT: &str = r#"{"eventType":"PAYMENT_STATUS_CHANGED","createdAt":"2026-01-02T14:46:59.65327",
  "data":{"orderId":"ORDER_123456","paymentKey":"tnhig2025","status":"DONE"}}"#;

async fn send(api: &Api, transmission_id: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/api/webhooks/toss")
        .header("content-type", "application/json")
        .header("authorization", "Bearer not for this")
        .header("tosspayments-webhook-transmission-time", "2026-01-02T14:47:00+09:00")
        .header("tosspayments-webhook-transmission-retried-count", "0");
    if let Some(id) = transmission_id {
        request = request.header("tosspayments-webhook-transmission-id", id);
    }
    api.send(request.body(body.into()).unwrap()).await
}

async fn kept(api: &Api) -> Vec<(String, Vec<u8>, Option<String>, String)> {
    let sql =
        "select transmission_id, body, event_type, state from webhook_events_in order by received_at, id";
    sqlx::query_as(sql).fetch_all(&api.pool).await.unwrap()
}

async fn jobs(api: &Api) -> Vec<Value> {
    let sql = "select args from jobs where kind = 'handle-webhook' order by id";
    sqlx::query_scalar(sql).fetch_all(&api.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_is_kept_once_as_it_came_with_its_job(pool: PgPool) {
    let api = Api::new(pool);
    for _ in 0..3 {
        let answer = send(&api, Some("whtrans_1"), EVENT).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, Value::String(String::new())));
    }
    let event = ("whtrans_1".to_owned(), EVENT.into(), Some("PAYMENT_STATUS_CHANGED".to_owned()));
    assert_eq!(kept(&api).await, [(event.0, event.1, event.2, "received".to_owned())]);
    let (id, headers): (String, Value) =
        sqlx::query_as("select id::text, headers from webhook_events_in").fetch_one(&api.pool).await.unwrap();
    assert_eq!(jobs(&api).await, [serde_json::json!({ "webhookId": id })]);
    assert_eq!(
        headers,
        serde_json::json!({
            "tosspayments-webhook-transmission-id": "whtrans_1",
            "tosspayments-webhook-transmission-time": "2026-01-02T14:47:00+09:00",
            "tosspayments-webhook-transmission-retried-count": "0",
            "content-type": "application/json",
        })
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_transmission_id_the_same_sending_is_kept_once(pool: PgPool) {
    let api = Api::new(pool);
    for body in [EVENT, EVENT, "{}"] {
        assert_eq!(send(&api, None, body).await.status, 200);
    }
    assert_eq!(kept(&api).await.len(), 2);
    assert_eq!(jobs(&api).await.len(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn nonsense_is_kept_and_marked_and_makes_no_job(pool: PgPool) {
    let api = Api::new(pool);
    let nonsense: [&[u8]; 4] = [b"", b"hello\0", b"\xff\xfe", b"[1,2]"];
    for (n, body) in nonsense.iter().enumerate() {
        assert_eq!(send(&api, Some(&format!("whtrans_{n}")), body.to_vec()).await.status, 200);
    }
    let rows = kept(&api).await;
    assert_eq!(rows.iter().map(|row| row.1.as_slice()).collect::<Vec<_>>(), nonsense);
    assert!(rows.iter().all(|row| row.2.is_none() && row.3 == "ignored"), "{rows:?}");
    assert_eq!(jobs(&api).await, Vec::<Value>::new());
}

#[sqlx::test(migrations = "../migrations")]
async fn up_to_64_kib_are_taken_and_more_is_refused(pool: PgPool) {
    let api = Api::new(pool);
    let most = format!("\"{}\"", "x".repeat(64 * 1024 - 2));
    assert_eq!(send(&api, Some("whtrans_1"), most.clone()).await.status, 200);
    send(&api, Some("whtrans_2"), most + " ").await.assert_problem(413, "too_large");
    assert_eq!(kept(&api).await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn odd_event_types_and_transmission_ids_break_nothing(pool: PgPool) {
    let api = Api::new(pool);
    for (id, body) in [
        ("x".repeat(5_000), r#"{"eventType":"a\u0000b"}"#.to_owned()),
        ("\u{e9}".to_owned(), format!(r#"{{"eventType":"{}"}}"#, "A".repeat(10_000))),
        (" ".to_owned(), r#"{"eventType":7,"data":"\u0000"}"#.to_owned()),
    ] {
        let answer = send(&api, Some(&id), body).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.body);
    }
    let rows = kept(&api).await;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.2.is_none()), "{rows:?}");
}
