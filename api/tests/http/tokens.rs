//! Who is let in: tokens signed by the login service, alive, for us, and naming a user.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use sqlx::PgPool;
use testing::{AUTH_JWT_SECRET, FAR, token};

use crate::support::{Api, Customer, settings};

const SUB: &str = "0192f0c1-5c00-7000-8000-000000000001";

async fn assert_refused(api: &Api, token: String) {
    let answer = api.get(&Customer::with_token(token.clone()), "/api/subscriptions").await;
    assert_eq!(answer.status, 401, "{token}");
    answer.assert_problem(401, "unauthorized");
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_that_is_forged_expired_or_names_nobody_is_refused(pool: PgPool) {
    let api = Api::new(pool);
    let claims = json!({ "sub": SUB, "exp": FAR });
    let unsigned = |part: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let none = format!("{}.{}.", unsigned(&json!({ "alg": "none", "typ": "JWT" })), unsigned(&claims));
    let other_key = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let longer_hash = Header::new(Algorithm::HS512);
    for wrong in [
        String::new(),
        "a.b.c".to_owned(),
        none,
        encode(&Header::default(), &claims, &other_key).unwrap(),
        encode(&longer_hash, &claims, &EncodingKey::from_secret(AUTH_JWT_SECRET.as_bytes())).unwrap(),
        token(&json!({ "sub": SUB, "exp": 1_700_000_000 })),
        token(&json!({ "sub": SUB })),
        token(&json!({ "sub": SUB, "exp": FAR, "nbf": FAR - 1 })),
        token(&json!({ "sub": "42", "exp": FAR })),
        token(&json!({ "exp": FAR })),
    ] {
        assert_refused(&api, wrong).await;
    }
    assert_eq!(api.rows().await, [0; 7]);
    let right = Customer::with_token(token(&claims));
    assert_eq!(api.get(&right, "/api/subscriptions").await.status, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_customers_route_needs_a_token(pool: PgPool) {
    let api = Api::new(pool);
    for (method, path) in [
        ("POST", "/api/payments/confirm"),
        ("GET", "/api/payments/confirm/ORDER_123456"),
        ("POST", "/api/subscriptions/cancel"),
        ("GET", "/api/subscriptions"),
        ("GET", "/api/subscriptions/sub_1"),
        ("GET", "/api/subscriptions/sub_1/payments"),
    ] {
        for credentials in [None, Some("Basic dXNlcjpwYXNz"), Some("Bearer"), Some(SUB)] {
            let request = Request::builder().method(method).uri(path);
            let request = credentials
                .into_iter()
                .fold(request, |request, one| request.header(header::AUTHORIZATION, one));
            api.send(request.body(Body::empty()).unwrap()).await.assert_problem(401, "unauthorized");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn where_an_audience_is_set_a_token_must_name_it(pool: PgPool) {
    let mut settings = settings(Duration::ZERO);
    settings.auth.audience = Some("billing".to_owned());
    let api = Api::with(pool.clone(), settings);
    assert_refused(&api, token(&json!({ "sub": SUB, "exp": FAR }))).await;
    assert_refused(&api, token(&json!({ "sub": SUB, "exp": FAR, "aud": "shop" }))).await;
    let named = Customer::with_token(token(&json!({ "sub": SUB, "exp": FAR, "aud": ["shop", "billing"] })));
    assert_eq!(api.get(&named, "/api/subscriptions").await.status, 200);
    // And where none is set, a token may name any.
    assert_eq!(Api::new(pool).get(&named, "/api/subscriptions").await.status, 200);
}
