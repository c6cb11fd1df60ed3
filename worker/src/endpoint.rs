//! The merchant's application as events reach it: one POST, signed as Standard Webhooks says, its answer's status only.

use std::{io, str::FromStr, time::Duration};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{Request, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use common::domain::delivery;
use common::domain::delivery::Answer;
use common::id::event_ref;
use common::store::webhook_deliveries::Waiting;
use hmac::{Hmac, KeyInit, Mac};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use url::{Host, Url};

const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// Standard Webhooks: 24 to 64 bytes of key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// `whsec_<base64>[,whsec_<base64>…]`; each signs, so that a receiver may change over at its own time.
pub struct Secrets(Vec<SecretSlice<u8>>);

impl FromStr for Secrets {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        Ok(Self(text.split(',').map(read_secret).collect::<Result<_, _>>()?))
    }
}

pub struct Endpoint {
    uri: Uri,
    secrets: Secrets,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    answers_within: Duration,
    /// Scheme, host and port: the path may be a secret.
    pub origin: String,
    /// Tells endpoints apart without naming them.
    pub fingerprint: String,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Taken(u16),
    /// The endpoint wants no more events.
    Gone,
    /// Why not.
    Refused(String),
}

#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    #[error("WEBHOOK_URL is wrong: {0}")]
    Url(&'static str),
    #[error("WEBHOOK_SECRETS is wrong: {0}")]
    Secrets(&'static str),
    #[error("the certificates of this machine could not be read: {0}")]
    Certificates(#[from] io::Error),
}

impl Endpoint {
    /// Plain HTTP only to this machine, or where `for_tests` says that only test keys are in use.
    pub fn new(url: &Url, secrets: Secrets, for_tests: bool) -> Result<Self, BadEndpoint> {
        allowed(url, for_tests)?;
        let uri = url.as_str().parse().map_err(|_| BadEndpoint::Url("it cannot be called"))?;
        let https = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        let digest = Sha256::digest(url.as_str().as_bytes());
        Ok(Self {
            uri,
            secrets,
            client: Client::builder(TokioExecutor::new()).build(https),
            answers_within: ANSWERS_WITHIN,
            origin: url.origin().ascii_serialization(),
            fingerprint: STANDARD.encode(digest),
        })
    }

    /// Tests do not wait as long for an answer that never comes.
    #[must_use]
    pub fn with_short_answer_timeout_for_tests(self, answers_within: Duration) -> Self {
        Self { answers_within, ..self }
    }

    /// Sends the event once. `now` is the machine's time, whatever a test clock says: the receiver compares it with its own.
    pub async fn tell(&self, event: &Waiting, now: DateTime<Utc>) -> Told {
        let request = match self.request(event, now) {
            Ok(request) => request,
            Err(error) => return Told::Refused(format!("it cannot be sent: {error}")),
        };
        // The answer's body is dropped unread, however long it is.
        match tokio::time::timeout(self.answers_within, self.client.request(request)).await {
            Ok(Ok(response)) => {
                let status = response.status();
                match delivery::answer(status.as_u16()) {
                    Answer::Taken => Told::Taken(status.as_u16()),
                    Answer::Gone => Told::Gone,
                    Answer::Refused if status.is_redirection() => {
                        Told::Refused(format!("answered {status}; redirects are not followed"))
                    }
                    Answer::Refused => Told::Refused(format!("answered {status}")),
                }
            }
            Ok(Err(error)) => Told::Refused(format!("no answer: {}", with_causes(&error))),
            Err(_) => Told::Refused(format!("no answer within {} s", self.answers_within.as_secs())),
        }
    }

    fn request(&self, event: &Waiting, now: DateTime<Utc>) -> Result<Request<Body>, axum::http::Error> {
        let (id, timestamp) = (event_ref(event.id), now.timestamp().to_string());
        let signed = format!("{id}.{timestamp}.{}", event.body);
        let signatures: Vec<_> =
            self.secrets.0.iter().map(|secret| sign(secret, signed.as_bytes())).collect();
        Request::post(&self.uri)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "billing-worker")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(Body::from(event.body.clone()))
    }
}

/// Whether events may go there.
pub fn allowed(url: &Url, for_tests: bool) -> Result<(), BadEndpoint> {
    match url.scheme() {
        "https" => {}
        "http" if for_tests || is_this_machine(url) => {}
        _ => return Err(BadEndpoint::Url("use https://")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadEndpoint::Url("no user and password in it: the signature says who sends"));
    }
    Ok(())
}

fn sign(secret: &SecretSlice<u8>, signed: &[u8]) -> String {
    // HMAC takes keys of any length.
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret()).map(|mac| mac.chain_update(signed));
    mac.map(|mac| format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))).unwrap_or_default()
}

fn read_secret(text: &str) -> Result<SecretSlice<u8>, BadEndpoint> {
    let encoded =
        text.trim().strip_prefix("whsec_").ok_or(BadEndpoint::Secrets("each begins with whsec_"))?;
    let key = STANDARD.decode(encoded).map_err(|_| BadEndpoint::Secrets("base64 follows whsec_"))?;
    if KEY_BYTES.contains(&key.len()) {
        Ok(SecretSlice::from(key))
    } else {
        Err(BadEndpoint::Secrets("each is 24 to 64 bytes long"))
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// hyper's own words say little; what lies under them names the reason.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn bad(url: &str, secrets: &str, for_tests: bool) -> String {
        let made =
            secrets.parse().and_then(|secrets| Endpoint::new(&url.parse().unwrap(), secrets, for_tests));
        made.err().map(|error| error.to_string()).unwrap_or_default()
    }

    /// The example of the Standard Webhooks specification.
    #[test]
    fn it_signs_as_the_specification_says() {
        let secret = read_secret(SECRET).unwrap();
        let signed = br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(sign(&secret, signed), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_test_keys() {
        assert_eq!(bad("https://shop.example/hooks", SECRET, false), "");
        assert_eq!(bad("http://127.0.0.1:3000/hooks", SECRET, false), "");
        assert_eq!(bad("http://localhost:3000/hooks", SECRET, false), "");
        assert_eq!(bad("http://app:3000/hooks", SECRET, true), "");
        for url in ["http://shop.example/hooks", "ftp://shop.example", "https://user:password@shop.example"] {
            assert!(bad(url, SECRET, false).starts_with("WEBHOOK_URL"), "{url}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_never_repeated() {
        for secrets in
            ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_!", &format!("{SECRET},")]
        {
            let line = bad("https://shop.example", secrets, false);
            assert!(line.starts_with("WEBHOOK_SECRETS") && !line.contains("MfKQ"), "{line}");
        }
    }
}
