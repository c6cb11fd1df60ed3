//! What a failed request is told: one form everywhere, in the caller's language, under one trace id.

use axum::body::Body;
use axum::http::{Method, Request, header};
use sqlx::PgPool;

use crate::support::{Api, Customer, order_with};

#[sqlx::test(migrations = "../migrations")]
async fn what_the_framework_refuses_has_the_same_form(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    for path in ["/api", "/api/", "/api/nothing", "/api/plans/", "/nothing", "/api/%ff"] {
        api.get(&customer, path).await.assert_problem(404, "not_found");
    }
    for path in ["/api/subscriptions/%ff", "/api/subscriptions/%ff/payments", "/api/payments/confirm/%ff"] {
        api.get(&customer, path).await.assert_problem(400, "malformed");
    }
    let put = customer.request(Method::PUT, "/api/plans").body(Body::empty()).unwrap();
    let refused = api.send(put).await;
    refused.assert_problem(405, "method_not_allowed");
    assert_eq!(refused.headers[header::ALLOW], "GET,HEAD");
    api.get(&customer, "/api/payments/confirm").await.assert_problem(405, "method_not_allowed");
}

#[sqlx::test(migrations = "../migrations")]
async fn problems_are_told_in_korean_unless_english_is_preferred(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let body = order_with("amount", "94800".into()).to_string();
    let mut messages = Vec::new();
    for language in ["", "ko-KR", "en-US,en;q=0.9,ko;q=0.8"] {
        let request = customer.request(Method::POST, "/api/payments/confirm");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::ACCEPT_LANGUAGE, language).body(Body::from(body.clone()));
        messages.push(api.send(request.unwrap()).await.body["message"].clone());
    }
    let korean = "amount 항목은 1원 이상의 정수여야 합니다.";
    assert_eq!(messages, [korean, korean, "amount must be a whole number of won, 1 or more."]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_callers_trace_id_comes_back_or_a_new_one_is_made(pool: PgPool) {
    let api = Api::new(pool);
    let id = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::builder().uri("/api/nothing");
    let request = request.header("traceparent", format!("00-{id}-b7ad6b7169203331-01"));
    let traced = api.send(request.body(Body::empty()).unwrap()).await;
    traced.assert_problem(404, "not_found");
    assert_eq!(traced.body["traceId"], id);
    let plans = Request::builder().uri("/api/plans").body(Body::empty()).unwrap();
    assert_eq!(api.send(plans).await.headers["x-trace-id"].len(), 32);
}

#[sqlx::test(migrations = "../migrations")]
async fn health_metrics_and_the_description_are_open_to_anyone(pool: PgPool) {
    let api = Api::new(pool);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/"] {
        let answer = api.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let metrics = api.send(Request::builder().uri("/metrics").body(Body::empty()).unwrap()).await;
    assert!(metrics.body.as_str().unwrap().contains("http_requests_total"));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_description_for_people_finds_its_files(pool: PgPool) {
    let api = Api::new(pool);
    let get = async |path: &str| api.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
    let page = get("/docs").await;
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let page = page.body.as_str().unwrap().to_owned();
    assert!(page.contains(r#"<base href="docs/" />"#), "{page}");
    for file in page.split("src=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(get(&format!("/docs/{file}")).await.status, 200, "{file}");
    }
    let settings = get("/docs/swagger-initializer.js").await;
    assert!(settings.body.as_str().unwrap().contains("/openapi.json"));
    get("/docs/nothing.js").await.assert_problem(404, "not_found");
}
