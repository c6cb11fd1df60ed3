//! What a request is called in logs and answers: the caller's W3C trace id, or one of our own.

use axum::http::HeaderMap;
use common::id::new_key;

/// 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceId(String);

impl TraceId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(parse);
        Self(given.unwrap_or_else(|| new_key().simple().to_string()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `version-traceid-parentid-flags` (W3C Trace Context, section 3.2); later versions may append more parts.
fn parse(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let well_formed = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && (version != "00" || parts.next().is_none());
    let is_null = |id: &str| id.bytes().all(|digit| digit == b'0');
    (well_formed && !is_null(trace) && !is_null(parent)).then(|| trace.to_owned())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_traceparent_is_followed_and_any_other_is_replaced() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(parse(&format!("00-{id}-b7ad6b7169203331-01")).as_deref(), Some(id));
        for wrong in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(is_hex(TraceId::of(&HeaderMap::new()).as_str(), 32));
    }
}
