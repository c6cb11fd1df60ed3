//! Reads requests: the body as one JSON object of a given type, the idempotency key, and where the request came from.

use std::{collections::HashSet, fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use common::domain::validated::{IdempotencyKey, Rule};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::{app::App, error::ApiError, problem::Problem};

/// Many times what the largest honest request needs.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// More than any honest header has.
const MAX_HEADER_CHARS: usize = 500;

/// A body that is one JSON object in UTF-8, no key twice. The first field that does not fit is named.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(Problem::UnsupportedMediaType.into());
        }
        parse(&read_body(request, app).await?).map(Self)
    }
}

/// The whole body, whatever it is, within the route's limit and in good time.
pub(crate) async fn read_body(request: Request, app: &Arc<App>) -> Result<Bytes, ApiError> {
    let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, app)).await;
    let body = body.map_err(|_| ApiError::from(Problem::RequestTimeout))?;
    body.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge.into(),
        _ => Problem::Malformed.into(),
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let malformed = || ApiError::from(Problem::Malformed);
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    // The derived types notice a second key only where they know the key.
    serde_json::from_str::<DistinctKeys>(text).map_err(|_| malformed())?;
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let message = error.inner().to_string();
        match Rule::of_error(&message) {
            Some(rule) => ApiError::invalid(field_of(error.path(), &message), rule),
            None => malformed(),
        }
    })
}

/// The name of the field that an error is about. An error of a missing field names it in its text only.
fn field_of(path: &serde_path_to_error::Path, message: &str) -> String {
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let last = path.iter().next_back().map(ToString::to_string);
    missing.map(str::to_owned).or(last).unwrap_or_default()
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Any JSON object whose own keys are distinct.
struct DistinctKeys;

impl<'de> Deserialize<'de> for DistinctKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DistinctKeysVisitor)
    }
}

struct DistinctKeysVisitor;

impl<'de> Visitor<'de> for DistinctKeysVisitor {
    type Value = DistinctKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DistinctKeys, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            // Two readers of the same text could otherwise believe different amounts.
            if !keys.insert(key) {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(DistinctKeys)
    }
}

/// The header `Idempotency-Key`; none when it was not sent.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(|key| IdempotencyKey::try_from(key.to_owned()).ok());
    key.map(Some).ok_or_else(|| ApiError::invalid("Idempotency-Key", IdempotencyKey::RULE))
}

/// From where a request came, as far as it can be told: evidence, never a ground for a decision.
pub(crate) struct ClientInfo {
    /// The address at the other end of the connection: a proxy's, behind one.
    pub(crate) ip: Option<String>,
    /// As it came: the sender may have written it.
    pub(crate) forwarded_for: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for ClientInfo {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            ip: connected.map(|info| info.0.ip().to_string()),
            forwarded_for: header_text(&parts.headers, "x-forwarded-for"),
            user_agent: header_text(&parts.headers, header::USER_AGENT.as_str()),
        })
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
    Some(text.chars().filter(|char| !char.is_control()).take(MAX_HEADER_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use common::domain::validated::{PersonName, PositiveWon};

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Example {
        customer_name: Option<PersonName>,
        amount: Option<PositiveWon>,
        within: Option<Box<Example>>,
    }

    fn problem(body: &[u8]) -> Problem {
        parse::<Example>(body).unwrap_err().problem()
    }

    #[test]
    fn only_one_json_object_with_distinct_keys_is_read() {
        for wrong in [
            &b""[..],
            b"[]",
            b"1",
            b"null",
            b"{",
            b"{}{}",
            b"{\"a\":}",
            b"{\"a\":1,\"a\":1}",
            b"{\"a\":1,\"\\u0061\":2}",
            b"{\"within\":{\"amount\":1,\"amount\":1}}",
            b"{\"a\":\"\xff\"}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{\"customerName\":\"\\ud800\"}",
        ] {
            assert_eq!(problem(wrong), Problem::Malformed, "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn the_field_that_does_not_fit_is_named() {
        for (body, field) in [
            (r#"{"amount": 1e999}"#, "amount"),
            (r#"{"amount": "1"}"#, "amount"),
            (r#"{"customerName": " "}"#, "customerName"),
            (r#"{"within": {"amount": 0}}"#, "amount"),
            (r#"{"within": 1}"#, "within"),
        ] {
            assert_eq!(parse::<Example>(body.as_bytes()).unwrap_err().field(), Some(field), "{body}");
        }
    }

    #[test]
    fn null_counts_as_left_out_and_unknown_fields_are_ignored() {
        let read: Example = parse(br#"{"amount": null, "more": {"x": [1]}, "within": {}}"#).unwrap();
        assert!(read.amount.is_none() && read.customer_name.is_none());
        assert!(read.within.is_some_and(|within| within.within.is_none()));
    }
}
