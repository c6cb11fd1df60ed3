//! Who is calling: HTTP Basic with a secret key, and what kind of key it is.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::refusal::Refusal;

/// Padding is optional: `tosspayments-rs` leaves it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The public keys of Toss's documentation, and any other test key.
pub(crate) const DEFAULT_ACCEPTED: [&str; 4] = [
    "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R",
    "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6",
    "test_sk_*",
    "test_gsk_*",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// `test_gsk_…`: confirms the widget's payments, never bills.
    Widget,
    /// `test_sk_…`
    Api,
}

#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) value: String,
    pub(crate) kind: KeyKind,
}

/// The secret keys that open the API; an entry ending in `*` stands for all keys that begin so.
#[derive(Debug, Clone)]
pub(crate) struct AcceptedKeys(Vec<String>);

impl AcceptedKeys {
    pub(crate) fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Statuses and codes as measured: 401 for an unknown key, 403 for a malformed header, 400 for the wrong sort.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Secret, Refusal> {
        let header = headers.get(header::AUTHORIZATION).ok_or_else(|| Refusal::of("UNAUTHORIZED_KEY"))?;
        let value =
            basic_user(header.as_bytes()).ok_or_else(|| Refusal::of("INCORRECT_BASIC_AUTH_FORMAT"))?;
        if value.starts_with("live_") || value.starts_with("test_ck_") || value.starts_with("test_gck_") {
            return Err(Refusal::of("INVALID_API_KEY"));
        }
        if !self.0.iter().any(|pattern| matches(pattern, &value)) {
            return Err(Refusal::of("UNAUTHORIZED_KEY"));
        }
        let kind = if value.starts_with("test_gsk_") { KeyKind::Widget } else { KeyKind::Api };
        Ok(Secret { value, kind })
    }
}

fn basic_user(header: &[u8]) -> Option<String> {
    let header = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, _)| user.to_owned())
}

fn matches(pattern: &str, key: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => key.len() > prefix.len() && key.starts_with(prefix),
        None => pattern == key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> Result<Secret, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        AcceptedKeys::new(DEFAULT_ACCEPTED.map(str::to_owned).to_vec()).authenticate(&headers)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }

    #[test]
    fn padding_is_optional() {
        assert_eq!(with(&basic("test_sk_abc:")).unwrap().kind, KeyKind::Api);
        assert_eq!(with(basic("test_sk_abc:").trim_end_matches('=')).unwrap().kind, KeyKind::Api);
        assert_eq!(with(&basic("test_gsk_ab:")).unwrap().kind, KeyKind::Widget);
    }

    #[test]
    fn each_mistake_has_its_code() {
        let code = |value: &str| with(value).unwrap_err().code;
        assert_eq!(code(&basic("nobody:")), "UNAUTHORIZED_KEY");
        assert_eq!(code(&basic("test_sk_abc")), "INCORRECT_BASIC_AUTH_FORMAT");
        assert_eq!(code(&basic("\u{feff}test_sk_abc:")), "UNAUTHORIZED_KEY");
        assert_eq!(code("Bearer x"), "INCORRECT_BASIC_AUTH_FORMAT");
        assert_eq!(code(&basic("live_sk_abc:")), "INVALID_API_KEY");
        assert_eq!(code(&basic("test_ck_abc:")), "INVALID_API_KEY");
    }
}
