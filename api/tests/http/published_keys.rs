//! Tokens signed with keys that the login service publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::KeySource;
use axum::http::header;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use sqlx::PgPool;
use testing::{AUTH_JWT_SECRET, FAR};
use tokio::net::TcpListener;

use crate::support::{Api, Customer, settings};

fn key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(include_bytes!("keys/es256.pem")).unwrap(),
        Algorithm::RS256 => EncodingKey::from_rsa_pem(include_bytes!("keys/rs256.pem")).unwrap(),
        other => panic!("no key for {other:?}"),
    }
}

fn signed(algorithm: Algorithm, kid: Option<&str>) -> Customer {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    let claims = json!({ "sub": "0192f0c1-5c00-7000-8000-000000000001", "exp": FAR });
    Customer::with_token(encode(&header, &claims, &key(algorithm)).unwrap())
}

/// Publishes both keys under their algorithm's name; counts how often it was asked.
async fn publish(asked: Arc<AtomicUsize>) -> String {
    let published = [Algorithm::ES256, Algorithm::RS256].map(|algorithm| {
        let mut jwk = Jwk::from_encoding_key(&key(algorithm), algorithm).unwrap();
        jwk.common.key_id = Some(format!("{algorithm:?}"));
        jwk
    });
    let keys = JwkSet { keys: published.into() };
    let answer = move || {
        asked.fetch_add(1, Ordering::Relaxed);
        let keys = keys.clone();
        async move { Json(keys) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await });
    url
}

fn api(pool: PgPool, url: &str) -> Api {
    let mut settings = settings(Duration::ZERO);
    settings.auth.keys = KeySource::Jwks(url.parse().unwrap());
    Api::with(pool, settings)
}

#[sqlx::test(migrations = "../migrations")]
async fn both_algorithms_are_taken_and_the_keys_are_asked_for_once(pool: PgPool) {
    let asked = Arc::new(AtomicUsize::new(0));
    let api = api(pool, &publish(Arc::clone(&asked)).await);
    for _ in 0..3 {
        for algorithm in [Algorithm::ES256, Algorithm::RS256] {
            let customer = signed(algorithm, Some(&format!("{algorithm:?}")));
            assert_eq!(api.get(&customer, "/api/subscriptions").await.status, 200, "{algorithm:?}");
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_key_or_a_shared_secret_is_refused_at_once(pool: PgPool) {
    let asked = Arc::new(AtomicUsize::new(0));
    let api = api(pool, &publish(Arc::clone(&asked)).await);
    let secret = EncodingKey::from_secret(AUTH_JWT_SECRET.as_bytes());
    let claims = json!({ "sub": "0192f0c1-5c00-7000-8000-000000000001", "exp": FAR });
    let hs256 = Header { kid: Some("ES256".to_owned()), ..Header::default() };
    for wrong in [
        signed(Algorithm::ES256, Some("unknown")),
        signed(Algorithm::ES256, Some("RS256")),
        signed(Algorithm::RS256, Some("ES256")),
        signed(Algorithm::ES256, None),
        Customer::with_token(encode(&hs256, &claims, &secret).unwrap()),
    ] {
        api.get(&wrong, "/api/subscriptions").await.assert_problem(401, "unauthorized");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_the_keys_cannot_be_fetched_nobody_is_judged(pool: PgPool) {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let api = api(pool, &format!("http://{closed}/keys"));
    let answer = api.get(&signed(Algorithm::ES256, Some("ES256")), "/api/subscriptions").await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.headers[header::RETRY_AFTER], "5");
}
