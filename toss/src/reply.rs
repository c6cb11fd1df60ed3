//! What came back from the line for one call: facts only, no judgement.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Code;

/// The end of one exchange with Toss.
#[derive(Debug)]
pub(crate) enum Reply {
    Answered(Answer),
    /// Nothing of the request left this machine for Toss.
    NotSent(NotSent),
    /// The request may have arrived; its answer did not, or not whole.
    Lost {
        loss: Loss,
        message: String,
        http_status: Option<u16>,
        trace_id: Option<String>,
    },
}

#[derive(Debug)]
pub(crate) enum NotSent {
    /// Refused connection, unknown host, failed handshake, connect timeout.
    Unreachable(String),
    /// The request could not even be built.
    Malformed(String),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    Timeout,
    CutLine,
    TooLong,
}

/// A whole HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http_status: u16,
    pub(crate) trace_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Toss documents at most 510; whatever else answers must not flood a table.
const MAX_MESSAGE_CHARS: usize = 510;

/// Toss's error body.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorBody {
    pub(crate) code: Code,
    #[serde(default)]
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn error(&self) -> Option<ErrorBody> {
        let mut body: ErrorBody = serde_json::from_slice(&self.body).ok()?;
        if let Some((end, _)) = body.message.char_indices().nth(MAX_MESSAGE_CHARS) {
            body.message.truncate(end);
        }
        (!body.code.as_str().is_empty()).then_some(body)
    }

    /// Removes what must not be echoed from an error, so that its message can be stored and shown.
    pub(crate) fn without(mut self, secret: &str) -> Self {
        if self.http_status != 200 && !secret.is_empty() {
            self.body = String::from_utf8_lossy(&self.body).replace(secret, "****").into_bytes();
        }
        self
    }

    /// The error says where, never what: serde quotes values, and a value may be a billing key.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| {
            format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_at_the_length_toss_documents() {
        let body = format!(r#"{{"code":"X","message":"{}"}}"#, "가".repeat(9_000)).into_bytes();
        let answer = Answer { http_status: 400, trace_id: None, retry_after: None, body };
        assert_eq!(answer.error().unwrap().message.chars().count(), 510);
    }
}
