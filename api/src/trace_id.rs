//! What a request is called in logs and answers: the caller's W3C trace id, or one of our own.

use axum::http::HeaderMap;
use common::id::new_key;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceId {
    /// 32 lower-case hexadecimal digits.
    id: String,
    /// The whole header, for the jobs that the request makes.
    traceparent: String,
}

impl TraceId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get("traceparent").and_then(|value| value.to_str().ok());
        match given.and_then(|given| Some((parse(given)?, given))) {
            Some((id, given)) => Self { id, traceparent: given.to_owned() },
            None => Self::new(),
        }
    }

    pub(crate) fn new() -> Self {
        let (id, parent) = (new_key().simple().to_string(), new_key().as_u64_pair().1);
        let traceparent = format!("00-{id}-{parent:016x}-00");
        Self { id, traceparent }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.id
    }

    /// W3C Trace Context, section 3.2.
    pub(crate) fn traceparent(&self) -> &str {
        &self.traceparent
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
    fn a_valid_traceparent_is_followed_and_any_other_replaced() {
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
        let ours = TraceId::of(&HeaderMap::new());
        assert_eq!(parse(ours.traceparent()).as_deref(), Some(ours.as_str()));
    }
}
