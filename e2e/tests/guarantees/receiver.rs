//! The merchant's application: takes events over HTTP, checks their signatures with code of its own, and misbehaves on
//! demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use worker::endpoint::Endpoint;

use crate::world::World;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the endpoint does with the next event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    Answer(u16),
    /// Takes it and goes away without an answer.
    Cut,
    /// Takes it and never answers.
    Hang,
    /// Sends the caller to another page, which would take it.
    SendElsewhere,
}

/// An event as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signatures: Vec<String>,
    pub(crate) body: String,
}

impl Arrived {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(secret, signed.as_bytes())));
        self.signatures.contains(&expected)
    }
}

/// RFC 2104, written out. The secrets here are shorter than SHA-256's block.
fn hmac_sha256(secret: &str, message: &[u8]) -> Vec<u8> {
    let mut key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    key.resize(64, 0);
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[derive(Default)]
struct Inside {
    moods: VecDeque<Mood>,
    /// Refused whenever the body has one of these words.
    disliked: Vec<String>,
    arrived: Vec<Arrived>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    inside: Arc<Mutex<Inside>>,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let receiver = Self { inside: Arc::default(), url };
        let router = Router::new()
            .route("/hooks", post(take))
            .route("/elsewhere", post(StatusCode::OK).get(StatusCode::OK))
            .with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        receiver
    }

    pub(crate) fn endpoint(&self, secrets: &str) -> Endpoint {
        let endpoint = Endpoint::new(&self.url.parse().unwrap(), secrets.parse().unwrap(), false).unwrap();
        endpoint.with_short_answer_timeout_for_tests(Duration::from_secs(1))
    }

    /// The next events are met with these moods, all others taken.
    pub(crate) fn will(&self, moods: impl IntoIterator<Item = Mood>) {
        self.inside.lock().unwrap().moods.extend(moods);
    }

    /// Refuses every event with this word in it; none: takes all again.
    pub(crate) fn dislikes(&self, word: Option<&str>) {
        self.inside.lock().unwrap().disliked = word.map(str::to_owned).into_iter().collect();
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.inside.lock().unwrap().arrived.clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.arrived().iter().map(Arrived::kind).collect()
    }

    /// What has arrived is forgotten.
    pub(crate) fn forget(&self) {
        self.inside.lock().unwrap().arrived.clear();
    }
}

/// A world whose events go to a receiver that takes them all.
pub(crate) async fn listened_to(pool: PgPool, date: &str) -> (World, Receiver) {
    let receiver = Receiver::start().await;
    (World::telling(pool, date, Some(receiver.endpoint(SECRET))).await, receiver)
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let arrived = Arrived {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp").parse().unwrap(),
        signatures: text("webhook-signature").split(' ').map(str::to_owned).collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let mood = {
        let mut inside = receiver.inside.lock().unwrap();
        let disliked = inside.disliked.iter().any(|word| arrived.body.contains(word));
        inside.arrived.push(arrived);
        if disliked { Mood::Answer(500) } else { inside.moods.pop_front().unwrap_or(Mood::Answer(204)) }
    };
    match mood {
        Mood::Answer(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mood::SendElsewhere => Redirect::temporary("/elsewhere").into_response(),
        Mood::Hang => std::future::pending().await,
        // The connection's task ends here, and the line with it.
        Mood::Cut => std::panic::resume_unwind(Box::new("cut")),
    }
}
