//! From where a request came, as far as it can be told: evidence, never a ground for a decision.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header::USER_AGENT, request::Parts},
};

use crate::error::ApiError;

/// More than any honest header has.
const MAX_CHARS: usize = 500;

pub(crate) struct Origin {
    /// The address at the other end of the connection: a proxy's, behind one.
    pub(crate) ip: Option<String>,
    /// As it came: the sender may have written it.
    pub(crate) forwarded_for: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            ip: connected.map(|info| info.0.ip().to_string()),
            forwarded_for: text(&parts.headers, "x-forwarded-for"),
            user_agent: text(&parts.headers, USER_AGENT.as_str()),
        })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    let text = String::from_utf8_lossy(value);
    Some(text.chars().filter(|one| !one.is_control()).take(MAX_CHARS).collect())
}
