//! What the client needs to know before its first call, and what it refuses to start with.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Toss: "자동결제 승인은 최대 60초가 소요됩니다. 타임아웃 값을 최소 60초로 설정하세요."
const SHORTEST_ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where Toss is and how to be known there. Secrets are redacted in `Debug`.
#[derive(Debug, Clone)]
pub struct TossConfig {
    pub(crate) base_url: Url,
    pub(crate) secret_key: SecretString,
    pub(crate) widget_secret_key: SecretString,
    pub(crate) connect_timeout: Duration,
    pub(crate) answer_timeout: Duration,
}

/// A configuration that must not reach production.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the base URL must be http:// or https:// with a host, without user, query or fragment")]
    BaseUrl,
    #[error("a live key is never sent over plain http, except to this machine")]
    LiveKeyOverPlainHttp,
    #[error("the secret key is empty")]
    EmptySecretKey,
    #[error(
        "Toss may take 60 s to answer a charge; a timeout of {0:?} would book late approvals as failures"
    )]
    AnswerTimeoutTooShort(Duration),
    #[error("the HTTP client could not be built: {0}")]
    HttpClient(String),
}

impl TossConfig {
    /// `secret_key` is the API-individual key of the billing contract; `widget_secret_key` confirms what was paid in
    /// the payment widget (pass the former again where there is only one). Waits 5 s to connect and 65 s for an answer.
    pub fn new(base_url: Url, secret_key: SecretString, widget_secret_key: SecretString) -> Self {
        Self {
            base_url,
            secret_key,
            widget_secret_key,
            connect_timeout: CONNECT_TIMEOUT,
            answer_timeout: ANSWER_TIMEOUT,
        }
    }

    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Waiting for the answer once connected; less than 60 s is refused.
    pub fn with_answer_timeout(self, answer_timeout: Duration) -> Result<Self, ConfigError> {
        if answer_timeout < SHORTEST_ANSWER_TIMEOUT {
            return Err(ConfigError::AnswerTimeoutTooShort(answer_timeout));
        }
        Ok(Self { answer_timeout, ..self })
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self.base_url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let url = &self.base_url;
        let plain = url.scheme() == "http";
        let clean = url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        if !(plain || url.scheme() == "https") || url.host().is_none() || !clean || !bare {
            return Err(ConfigError::BaseUrl);
        }
        let secrets = [self.secret_key.expose_secret(), self.widget_secret_key.expose_secret()];
        if secrets.iter().any(|secret| secret.trim().is_empty()) {
            return Err(ConfigError::EmptySecretKey);
        }
        if plain && !self.is_loopback() && secrets.iter().any(|secret| secret.starts_with("live_")) {
            return Err(ConfigError::LiveKeyOverPlainHttp);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, secret: &str) -> TossConfig {
        TossConfig::new(url.parse().unwrap(), secret.into(), secret.into())
    }

    #[test]
    fn an_answer_timeout_below_sixty_seconds_is_refused() {
        let short =
            config("https://api.tosspayments.com", "test_sk_x").with_answer_timeout(Duration::from_secs(59));
        assert!(matches!(short, Err(ConfigError::AnswerTimeoutTooShort(_))));
        let long =
            config("https://api.tosspayments.com", "test_sk_x").with_answer_timeout(Duration::from_mins(1));
        assert!(long.is_ok());
    }

    #[test]
    fn the_default_waits_sixty_five_seconds_for_an_answer() {
        let config = config("https://api.tosspayments.com", "test_sk_x");
        assert_eq!(config.answer_timeout, Duration::from_secs(65));
    }

    #[test]
    fn a_base_url_is_http_or_https_and_nothing_more() {
        for good in ["https://api.tosspayments.com", "http://127.0.0.1:8090", "http://sandbox:8090/toss/"] {
            assert!(config(good, "test_sk_x").check().is_ok(), "{good}");
        }
        for bad in ["ftp://x", "mailto:x@y", "https://u:p@x", "https://x/?q=1", "https://x/#f"] {
            assert!(matches!(config(bad, "test_sk_x").check(), Err(ConfigError::BaseUrl)), "{bad}");
        }
    }

    #[test]
    fn a_live_key_does_not_travel_in_the_clear() {
        let plain = config("http://toss.example", "live_sk_x").check();
        assert!(matches!(plain, Err(ConfigError::LiveKeyOverPlainHttp)));
        assert!(config("https://toss.example", "live_sk_x").check().is_ok());
        assert!(config("http://[::1]:8090", "live_sk_x").check().is_ok());
        assert!(config("http://toss.example", "test_sk_x").check().is_ok());
    }

    #[test]
    fn an_empty_secret_is_refused_and_no_secret_is_printed() {
        assert!(matches!(config("https://x", " ").check(), Err(ConfigError::EmptySecretKey)));
        let shown = format!("{:?}", config("https://x", "test_sk_hidden"));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
