//! Pages of other origins: those that are named may call, and read what went wrong; no others.

use axum::body::Body;
use axum::http::{Method, Request, header};
use sqlx::PgPool;

use crate::support::{Answer, Api, settings};

async fn ask(api: &Api, method: Method, origin: &str) -> Answer {
    let request = Request::builder().method(method).uri("/api/subscriptions").header(header::ORIGIN, origin);
    let request = request
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type");
    api.send(request.body(Body::empty()).unwrap()).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_of_a_named_origin_may_call_and_read_its_problem(pool: PgPool) {
    let api = Api::new(pool);
    let preflight = ask(&api, Method::OPTIONS, "https://shop.example").await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
    let allowed = preflight.headers[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    let refused = ask(&api, Method::GET, "https://shop.example").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
    assert!(!refused.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_of_any_other_origin_may_not(pool: PgPool) {
    let named = Api::new(pool.clone());
    let mut nobody = settings(std::time::Duration::ZERO);
    nobody.allowed_origins.clear();
    let nobody = Api::with(pool, nobody);
    for (api, origin) in [
        (&named, "https://evil.example"),
        (&named, "null"),
        (&named, "http://shop.example"),
        (&nobody, "https://shop.example"),
    ] {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = ask(api, method, origin).await;
            assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
        }
    }
}
