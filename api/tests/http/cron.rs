//! The daily scan: once a day, for whoever knows the secret.

use axum::body::Body;
use axum::http::{Method, Request, header};
use chrono::TimeDelta;
use common::clock::Clock;
use common::domain::calendar::seoul_date;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Answer, Api, CRON_SECRET, Customer};

async fn ask(api: &Api, method: Method, path: &str, bearer: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    api.send(request.body(Body::empty()).unwrap()).await
}

#[sqlx::test(migrations = "../migrations")]
async fn twice_a_day_is_once_and_tomorrow_is_another_job(pool: PgPool) {
    let api = Api::new(pool);
    let first = ask(&api, Method::POST, "/api/payments/billing/auto", CRON_SECRET).await;
    assert_eq!((first.status.as_u16(), &first.body["created"]), (202, &json!(true)));
    let second = ask(&api, Method::GET, "/api/cron/billing", CRON_SECRET).await;
    let same = json!({ "success": true, "jobId": first.body["jobId"], "created": false });
    assert_eq!((second.status.as_u16(), second.body), (202, same));
    assert_eq!(api.rows().await, [0, 0, 0, 0, 1, 0, 0]);
    let date: String =
        sqlx::query_scalar("select args->>'date' from jobs").fetch_one(&api.pool).await.unwrap();
    assert_eq!(date, seoul_date(Clock::Test(api.clock.clone()).now()).to_string());
    api.clock.follow(TimeDelta::days(1).num_milliseconds(), 1);
    let tomorrow = ask(&api, Method::GET, "/api/cron/billing", CRON_SECRET).await;
    assert_eq!(tomorrow.body["created"], true);
    assert_ne!(tomorrow.body["jobId"], first.body["jobId"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_else_may_start_the_scan(pool: PgPool) {
    let api = Api::new(pool);
    for (method, path) in [(Method::POST, "/api/payments/billing/auto"), (Method::GET, "/api/cron/billing")] {
        for wrong in ["", "wrong", &CRON_SECRET[1..], &format!("{CRON_SECRET}!")] {
            ask(&api, method.clone(), path, wrong).await.assert_problem(401, "unauthorized");
        }
        let customer = Customer::new(1).request(method.clone(), path).body(Body::empty()).unwrap();
        api.send(customer).await.assert_problem(401, "unauthorized");
        let bare = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        api.send(bare).await.assert_problem(401, "unauthorized");
    }
    assert_eq!(api.rows().await, [0; 7]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_head_request_starts_nothing(pool: PgPool) {
    let api = Api::new(pool);
    for (path, allowed) in [("/api/cron/billing", "GET"), ("/api/payments/billing/auto", "POST")] {
        let head = ask(&api, Method::HEAD, path, CRON_SECRET).await;
        assert_eq!(
            (head.status.as_u16(), head.headers[header::ALLOW].to_str().unwrap()),
            (405, allowed),
            "{path}"
        );
    }
    assert_eq!(api.rows().await, [0; 7]);
}
