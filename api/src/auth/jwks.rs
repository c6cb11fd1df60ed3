//! The login service's published keys: fetched when first needed, kept, and fetched again for a key not seen before.

use std::time::Duration;

use anyhow::{Context, ensure};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use reqwest::{Client, StatusCode, redirect};
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;
use url::Url;

/// However many tokens name unknown keys, the login service is asked this seldom.
const MIN_FETCH_INTERVAL: Duration = Duration::from_mins(1);
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// After this long a key that was withdrawn is noticed.
const MAX_AGE: Duration = Duration::from_mins(15);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;

/// Why a token names no user.
#[derive(Debug)]
pub(crate) enum TokenError {
    /// The token is no good; the reason is for the log only.
    Invalid(String),
    /// The keys could not be fetched, so nobody can tell.
    KeysUnavailable(anyhow::Error),
}

pub(super) struct Jwks {
    url: Url,
    client: Client,
    kept: RwLock<Kept>,
    /// Whose turn it is to ask.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    keys: Option<JwkSet>,
    fetched_at: Option<Instant>,
    /// Not to be asked before.
    ask_from: Option<Instant>,
}

impl Jwks {
    pub(super) fn new(url: Url) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(FETCH_TIMEOUT).redirect(redirect::Policy::none()).build()?;
        Ok(Self { url, client, kept: RwLock::default(), asking: Mutex::default() })
    }

    /// The key of this name. A crowd asks for an unknown one once, and waits; who brings a known one waits for nobody,
    /// but for the one request that refreshes what is old.
    pub(super) async fn key(&self, kid: &str) -> Result<DecodingKey, TokenError> {
        let is_known = self.kept.read().await.knows(kid);
        let turn = if is_known { self.asking.try_lock().ok() } else { Some(self.asking.lock().await) };
        if turn.is_some() && self.kept.read().await.wants(kid, Instant::now()) {
            self.refresh().await;
        }
        drop(turn);
        let kept = self.kept.read().await;
        let Some(keys) = &kept.keys else {
            return Err(TokenError::KeysUnavailable(anyhow::anyhow!("no keys of the login service yet")));
        };
        let jwk = keys.find(kid).ok_or_else(|| TokenError::Invalid("its key is not published".to_owned()))?;
        DecodingKey::from_jwk(jwk).map_err(|error| TokenError::Invalid(error.to_string()))
    }

    async fn refresh(&self) {
        let fetched = self.fetch().await;
        let (now, mut kept) = (Instant::now(), self.kept.write().await);
        match fetched {
            Ok(keys) => {
                let ask_from = Some(now + MIN_FETCH_INTERVAL);
                *kept = Kept { keys: Some(keys), fetched_at: Some(now), ask_from };
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "JWKS could not be fetched");
                kept.ask_from = Some(now + RETRY_AFTER_FAILURE);
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let mut response = self.client.get(self.url.clone()).send().await?;
        ensure!(response.status() == StatusCode::OK, "it answered {}", response.status());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            ensure!(body.len().saturating_add(chunk.len()) <= MAX_BYTES, "it answered too much");
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).context("it is no key set")
    }
}

impl Kept {
    fn knows(&self, kid: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.find(kid).is_some())
    }

    /// Whether to ask now: for a key not seen yet, or because what is kept is old; never too often.
    fn wants(&self, kid: &str, now: Instant) -> bool {
        let is_old = self.fetched_at.is_none_or(|at| now.saturating_duration_since(at) >= MAX_AGE);
        (is_old || !self.knows(kid)) && self.ask_from.is_none_or(|from| now >= from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;

    const KEY: &str = r#"{ "keys": [{ "kty": "oct", "kid": "k1", "alg": "HS256", "k": "c2VjcmV0" }] }"#;

    /// Of a login service that takes connections and answers none, with keys from longer ago than they are kept.
    async fn hanging() -> (Arc<Jwks>, TcpListener) {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", silent.local_addr().unwrap());
        let jwks = Jwks::new(url.parse().unwrap()).unwrap();
        let keys = Some(serde_json::from_str(KEY).unwrap());
        *jwks.kept.write().await = Kept { keys, fetched_at: None, ask_from: None };
        (Arc::new(jwks), silent)
    }

    #[tokio::test]
    async fn a_known_key_does_not_wait_for_a_login_service_that_hangs() {
        let (jwks, silent) = hanging().await;
        let first = tokio::spawn({
            let jwks = Arc::clone(&jwks);
            async move { jwks.key("k1").await.is_ok() }
        });
        let _asked = silent.accept().await.unwrap();
        assert!(jwks.key("k1").await.is_ok());
        assert!(!first.is_finished(), "the first one asks");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_nobody_asks_again_at_once() {
        let (jwks, _silent) = hanging().await;
        let before = Instant::now();
        jwks.refresh().await;
        let kept = jwks.kept.read().await;
        assert!(kept.ask_from.unwrap() >= before + FETCH_TIMEOUT);
        assert!(!kept.wants("k1", Instant::now()));
    }

    #[test]
    fn an_unknown_key_is_asked_for_at_most_once_a_minute() {
        let now = Instant::now();
        assert!(Kept::default().wants("k1", now));
        let keys = Some(JwkSet { keys: Vec::new() });
        let kept = Kept { keys, fetched_at: Some(now), ask_from: Some(now + MIN_FETCH_INTERVAL) };
        assert!(!kept.wants("k1", now + Duration::from_secs(59)));
        assert!(kept.wants("k1", now + Duration::from_mins(1)));
    }
}
