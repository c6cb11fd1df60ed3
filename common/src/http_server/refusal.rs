//! The answer to what never becomes a request: a head that is malformed or too large, one connection too many.

use axum::http::StatusCode;

/// An answer that is written without the router.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    pub content_type: &'static str,
    pub body: fn(StatusCode) -> String,
}

impl Refusal {
    /// One plain line, for ports that only programs of the operators read.
    pub const PLAIN: Self = Self {
        content_type: "text/plain; charset=utf-8",
        body: |status| format!("{}\n", status.canonical_reason().unwrap_or("refused")),
    };

    pub(super) fn bytes(&self, status: StatusCode) -> Vec<u8> {
        let body = (self.body)(status);
        let (reason, length) = (status.canonical_reason().unwrap_or_default(), body.len());
        let (code, content_type) = (status.as_u16(), self.content_type);
        format!(
            "HTTP/1.1 {code} {reason}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}
