//! One exchange with Toss: builds the request, sends it once, reads the whole answer, leaves one log line.

use std::error::Error;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::reply::{Answer, Loss, NotSent, Reply};
use crate::{ConfigError, TossConfig};

/// RFC 3986 unreserved characters stay; a billing key's `=` becomes `%3D`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// 5,000 transactions are about 3 MB; nothing Toss sends is near this.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Whose secret key a call is made with. A payment can be read and cancelled only with the key it was made with:
/// confirmed widget payments belong to `Widget`, charges of billing keys to `Billing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    Billing,
    Widget,
}

/// The client. Cheap to clone; clones share one connection pool. Follows no redirect, retries nothing, and ignores
/// proxy variables when Toss is on this machine.
#[derive(Debug, Clone)]
pub struct Toss {
    http: Client,
    pub(crate) base_url: Url,
    secret_key: SecretString,
    widget_secret_key: SecretString,
}

/// What the log line of a call says besides its result.
pub(crate) struct About<'a> {
    pub(crate) operation: &'static str,
    pub(crate) order_id: Option<&'a str>,
    /// A billing key in the path, which an error might repeat.
    pub(crate) secret: Option<&'a str>,
}

impl Toss {
    pub fn new(config: TossConfig) -> Result<Self, ConfigError> {
        let answer_timeout = config.answer_timeout;
        Self::build(config, answer_timeout)
    }

    /// For tests of timeouts only: waits less than Toss is allowed to take, so late approvals look lost.
    pub fn with_short_answer_timeout_for_tests(
        config: TossConfig,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        Self::build(config, timeout)
    }

    fn build(config: TossConfig, answer_timeout: Duration) -> Result<Self, ConfigError> {
        config.check()?;
        let mut builder = Client::builder()
            .user_agent(concat!("toss/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            // The total counts from before connecting, so a slow handshake must not shorten the wait for the bank.
            .timeout(config.connect_timeout + answer_timeout)
            .pool_idle_timeout(POOL_IDLE);
        if config.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ConfigError::HttpClient(describe(error)))?;
        let TossConfig { base_url, secret_key, widget_secret_key, .. } = config;
        Ok(Self { http, base_url, secret_key, widget_secret_key })
    }

    /// A request to `segments`, each percent-encoded as one path segment, authenticated as `account`.
    pub(crate) fn request(
        &self,
        method: Method,
        account: Account,
        segments: &[&str],
    ) -> Result<RequestBuilder, NotSent> {
        let secret = match account {
            Account::Billing => &self.secret_key,
            Account::Widget => &self.widget_secret_key,
        };
        let url = self.endpoint(segments)?;
        Ok(self.http.request(method, url).basic_auth(secret.expose_secret(), None::<&str>))
    }

    /// Without credentials: for what is not Toss's.
    pub(crate) fn bare_request(&self, method: Method, segments: &[&str]) -> Result<RequestBuilder, NotSent> {
        Ok(self.http.request(method, self.endpoint(segments)?))
    }

    fn endpoint(&self, segments: &[&str]) -> Result<Url, NotSent> {
        let mut path = self.base_url.path().trim_end_matches('/').to_owned();
        for segment in segments {
            // A URL parser would swallow these, and the request would go to another path.
            if matches!(*segment, "" | "." | "..") {
                return Err(NotSent::Malformed("an empty or dotted path segment".to_owned()));
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let mut url = self.base_url.clone();
        url.set_path(&path);
        Ok(url)
    }

    pub(crate) async fn send(&self, about: About<'_>, request: Result<RequestBuilder, NotSent>) -> Reply {
        let started = Instant::now();
        let reply = match request {
            Err(not_sent) => Reply::NotSent(not_sent),
            Ok(request) => match request.send().await {
                Ok(response) => read(response).await,
                Err(error) => not_answered(error),
            },
        };
        log(&about, &reply, started.elapsed());
        match (reply, about.secret) {
            (Reply::Answered(answer), Some(secret)) => Reply::Answered(answer.without(secret)),
            (reply, _) => reply,
        }
    }
}

async fn read(mut response: Response) -> Reply {
    let http_status = response.status().as_u16();
    let trace_id = header(response.headers(), "x-tosspayments-trace-id");
    let retry_after = header(response.headers(), RETRY_AFTER.as_str());
    let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let lost =
        |loss, message, trace_id| Reply::Lost { loss, message, http_status: Some(http_status), trace_id };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY_BYTES => {
                return lost(Loss::TooLong, "the answer is longer than any of Toss's".to_owned(), trace_id);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Reply::Answered(Answer { http_status, trace_id, retry_after, body }),
            Err(error) => return lost(loss_of(&error), describe(error), trace_id),
        }
    }
}

/// Only a failed connect and a request that could not be built prove that Toss received nothing.
fn not_answered(error: reqwest::Error) -> Reply {
    if error.is_builder() {
        return Reply::NotSent(NotSent::Malformed(describe(error)));
    }
    if error.is_connect() {
        return Reply::NotSent(NotSent::Unreachable(describe(error)));
    }
    Reply::Lost { loss: loss_of(&error), message: describe(error), http_status: None, trace_id: None }
}

fn loss_of(error: &reqwest::Error) -> Loss {
    if error.is_timeout() { Loss::Timeout } else { Loss::CutLine }
}

/// The error and its causes, without the URL: it may hold a billing key.
pub(crate) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// No bodies, no keys, no amounts.
fn log(about: &About<'_>, reply: &Reply, took: Duration) {
    let (status, trace_id, code, lost) = match reply {
        Reply::Answered(answer) => {
            let code = answer.error().map(|body| body.code.to_string());
            (Some(answer.http_status), answer.trace_id.as_deref(), code, None)
        }
        Reply::NotSent(not_sent) => (None, None, None, Some(format!("{not_sent:?}"))),
        Reply::Lost { loss, message, http_status, trace_id } => {
            (*http_status, trace_id.as_deref(), None, Some(format!("{loss:?}: {message}")))
        }
    };
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                toss.operation = about.operation,
                order.id = about.order_id,
                http.status = status,
                toss.code = code,
                toss.trace_id = trace_id,
                toss.failure = lost,
                duration_ms,
                $text
            )
        };
    }
    match status {
        Some(200..=299) if lost.is_none() => line!(info, "toss answered"),
        Some(_) if lost.is_none() => line!(warn, "toss answered with an error"),
        _ => line!(warn, "toss did not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_the_bank_is_not_shortened_by_connecting() {
        let base_url = "https://api.tosspayments.com".parse().unwrap();
        let config = TossConfig::new(base_url, "test_sk_x".into(), "test_sk_x".into());
        let shown = format!("{:?}", Toss::new(config).unwrap().http);
        assert!(shown.contains("TotalTimeout: 70s"), "5 s to connect and 65 s to wait: {shown}");
    }
}
