//! The login service's published keys: fetched when first needed, kept, and fetched again for a key not seen before.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use axum::{
    body::{Body, Bytes},
    http::{StatusCode, Uri},
};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use tokio::sync::Mutex;
use url::Url;

use super::token::Refused;

/// However many tokens name unknown keys, the login service is asked this seldom.
const ASK_AT_MOST_EVERY: Duration = Duration::from_mins(1);
const ASK_AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// After this long a key that was withdrawn is noticed.
const KEEP_FOR: Duration = Duration::from_mins(15);
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 256 * 1024;

pub(super) struct Jwks {
    url: String,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: Option<JwkSet>,
    fetched_at: Option<Instant>,
    /// Not to be asked before.
    ask_from: Option<Instant>,
}

impl Jwks {
    pub(super) fn new(url: &Url) -> io::Result<Self> {
        let https = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        Ok(Self { url: url.to_string(), client, kept: Mutex::default() })
    }

    /// The key of this name. Held while it is fetched, so that a crowd asks once.
    pub(super) async fn key(&self, kid: &str) -> Result<DecodingKey, Refused> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        if kept.wants(kid, now) {
            match self.fetch().await {
                Ok(keys) => {
                    let ask_from = Some(now + ASK_AT_MOST_EVERY);
                    *kept = Kept { keys: Some(keys), fetched_at: Some(now), ask_from };
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the login service's keys could not be fetched"
                    );
                    kept.ask_from = Some(now + ASK_AGAIN_AFTER_FAILURE);
                }
            }
        }
        let Some(keys) = &kept.keys else {
            return Err(Refused::KeysAway(anyhow::anyhow!("no keys of the login service yet")));
        };
        let jwk = keys.find(kid).ok_or_else(|| Refused::Token("its key is not published".to_owned()))?;
        DecodingKey::from_jwk(jwk).map_err(|error| Refused::Token(error.to_string()))
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let body = tokio::time::timeout(ANSWERS_WITHIN, self.get()).await.context("it took too long")??;
        serde_json::from_slice(&body).context("it is no key set")
    }

    async fn get(&self) -> anyhow::Result<Bytes> {
        let uri: Uri = self.url.parse().context("AUTH_JWKS_URL cannot be called")?;
        let response = self.client.get(uri).await?;
        if response.status() != StatusCode::OK {
            bail!("it answered {}", response.status());
        }
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    }
}

impl Kept {
    /// Whether to ask now: for a key not seen yet, or because what is kept is old; never too often.
    fn wants(&self, kid: &str, now: Instant) -> bool {
        let is_known = self.keys.as_ref().is_some_and(|keys| keys.find(kid).is_some());
        let is_old = self.fetched_at.is_none_or(|at| now.saturating_duration_since(at) >= KEEP_FOR);
        (is_old || !is_known) && self.ask_from.is_none_or(|from| now >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_asked_for_at_most_once_a_minute() {
        let now = Instant::now();
        assert!(Kept::default().wants("k1", now));
        let keys = Some(JwkSet { keys: Vec::new() });
        let kept = Kept { keys, fetched_at: Some(now), ask_from: Some(now + ASK_AT_MOST_EVERY) };
        assert!(!kept.wants("k1", now + Duration::from_secs(59)));
        assert!(kept.wants("k1", now + Duration::from_mins(1)));
    }
}
