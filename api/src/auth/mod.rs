//! Who asks: customers by the login service's JWT, operators and the daily cron by secrets of their own.

mod cron;
mod customer;
mod jwks;
mod operator;
mod token;

pub(crate) use cron::CronCaller;
pub(crate) use customer::Customer;
pub(crate) use operator::Operator;
pub(crate) use token::Auth;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use secrecy::SecretString;
use url::Url;

/// How customers' tokens are checked.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    pub keys: KeySource,
    /// What a token's `aud` must name; not checked when none.
    pub audience: Option<String>,
}

#[derive(Debug, Clone)]
pub enum KeySource {
    /// HS256, with a key shared with the login service.
    Secret(SecretString),
    /// RS256 and ES256, with the keys that the login service publishes (RFC 7517).
    Jwks(Url),
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
