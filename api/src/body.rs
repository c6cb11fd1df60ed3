//! Reads a request's body as one JSON object, strictly: type, size, encoding, no key twice.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{app::App, error::ApiError};

/// Many times what the largest honest request needs.
pub(crate) const MAX_BYTES: usize = 16 * 1024;
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// The object's fields as they were written, so that a number is judged by its digits and not by a rounded value.
#[derive(Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// The field's JSON text; `null` counts as left out.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get()).filter(|text| *text != "null")
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body).map_err(|_| ApiError::Malformed)
    }
}

impl FromRequest<Arc<App>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJson);
        }
        Self::parse(&arrived(request, app).await?)
    }
}

/// The whole body, whatever it is, within the route's limit and in good time.
pub(crate) async fn arrived(request: Request, app: &Arc<App>) -> Result<Bytes, ApiError> {
    let body = tokio::time::timeout(ARRIVES_WITHIN, Bytes::from_request(request, app)).await;
    body.map_err(|_| ApiError::TooSlow)?.map_err(|refused| match refused.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        _ => ApiError::Malformed,
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            // Two readers of the same text could otherwise believe different amounts.
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_json_object_with_distinct_keys_in_utf_8_is_malformed() {
        for wrong in [
            &b""[..],
            b"[]",
            b"1",
            b"{",
            b"{}{}",
            b"{\"a\":}",
            b"{\"a\":1,\"a\":1}",
            b"{\"a\":1,\"\\u0061\":2}",
            b"{\"a\":\"\xff\"}",
            b"{'a':1}",
            b"{\"a\":1,}",
        ] {
            assert!(matches!(Fields::parse(wrong), Err(ApiError::Malformed)), "{wrong:?}");
        }
    }

    #[test]
    fn a_value_is_kept_as_it_was_written_and_null_is_left_out() {
        let fields = Fields::parse(br#"{"a": 94800.0, "b": 1e999, "c": null, "d": {"x": [1]}}"#).unwrap();
        assert_eq!(fields.raw("a"), Some("94800.0"));
        assert_eq!(fields.raw("b"), Some("1e999"));
        assert_eq!(fields.raw("c"), None);
        assert_eq!(fields.raw("d"), Some(r#"{"x": [1]}"#));
    }
}
