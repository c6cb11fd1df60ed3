//! Who is logged in: the cookie, the session behind it, and the language that the operator chose.

use std::{net::IpAddr, net::SocketAddr, sync::Arc};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Uri, header};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use common::domain::operator::{Operator, Role};
use common::secret_token;
use common::store::{StoreError, operator_sessions};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::failure::ConsoleError;
use crate::{app::App, language::Language};

const SECURE_NAME: &str = "__Host-console";
/// Browsers take no `Secure` cookie over plain HTTP; that is for this machine's own address only.
const LOOPBACK_NAME: &str = "console";
const LANGUAGE_NAME: &str = "console_language";
/// Sent by our script when a page refreshes its numbers by itself.
pub(super) const LIVE_HEADER: &str = "x-live";

/// The operator who sent a request. Put there by the guard of the route, so a handler has it only behind a guard.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) operator_id: Uuid,
    pub(crate) email: String,
    pub(crate) role: Role,
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = ConsoleError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ConsoleError> {
        let session = parts.extensions.get::<Self>().cloned();
        session.ok_or_else(|| {
            ConsoleError::internal(anyhow::anyhow!("a page without a guard asks who is there"))
        })
    }
}

impl Session {
    /// The live session of a request's cookie.
    pub(super) async fn find(app: &App, headers: &HeaderMap) -> Result<Option<Self>, StoreError> {
        let jar = CookieJar::from_headers(headers);
        let Some(cookie) = jar.get(cookie_name(headers)) else { return Ok(None) };
        let hash = secret_token::hash(cookie.value());
        let is_use = !headers.contains_key(LIVE_HEADER);
        let mut conn = app.pool.acquire().await?;
        let live = operator_sessions::find(&mut conn, &hash, is_use).await?;
        Ok(live.map(|live| Self::new(live.id, live.operator)))
    }

    pub(super) fn new(id: Uuid, operator: Operator) -> Self {
        Self { id, operator_id: operator.id, email: operator.email, role: operator.role }
    }
}

/// The cookie that carries a session. Strict: a page of another site cannot send a request with it.
pub(super) fn cookie(headers: &HeaderMap, token: &SecretString) -> Cookie<'static> {
    let is_loopback = is_plain_loopback(headers);
    Cookie::build((cookie_name(headers), token.expose_secret().to_owned()))
        .path("/")
        .http_only(true)
        .secure(!is_loopback)
        .same_site(SameSite::Strict)
        .build()
}

/// Takes the cookie back.
pub(super) fn removal(headers: &HeaderMap) -> Cookie<'static> {
    let mut cookie = cookie(headers, &SecretString::from(""));
    cookie.make_removal();
    cookie
}

pub(super) fn language_cookie(headers: &HeaderMap, language: Language) -> Cookie<'static> {
    let code = match language {
        Language::Korean => "ko",
        Language::English => "en",
    };
    Cookie::build((LANGUAGE_NAME, code))
        .path("/console")
        .http_only(true)
        .secure(!is_plain_loopback(headers))
        .same_site(SameSite::Strict)
        .permanent()
        .build()
}

/// The operator's choice; until there is one, the browser's.
pub(super) fn language(headers: &HeaderMap) -> Language {
    match CookieJar::from_headers(headers).get(LANGUAGE_NAME).map(Cookie::value) {
        Some("ko") => Language::Korean,
        Some("en") => Language::English,
        _ => Language::of(headers),
    }
}

fn cookie_name(headers: &HeaderMap) -> &'static str {
    if is_plain_loopback(headers) { LOOPBACK_NAME } else { SECURE_NAME }
}

/// Whether the browser is on this machine and speaks plain HTTP. A proxy that ends TLS says so.
fn is_plain_loopback(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let host = text(header::HOST.as_str());
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.chars().all(|c| c.is_ascii_digit()) { name } else { host });
    let is_loopback = matches!(name, "localhost" | "[::1]")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback && !text("x-forwarded-proto").eq_ignore_ascii_case("https")
}

/// Where a request came from: the connection's other end, or what a proxy in front of us wrote as its own client.
pub(crate) fn address(headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
    let peer =
        extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())?;
    let is_near = match peer {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    // Only the last entry is the proxy's; those before it are whatever the client wrote.
    let forwarded =
        headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last = forwarded.and_then(|list| list.rsplit(',').next()).and_then(|text| text.trim().parse().ok());
    Some(last.filter(|_| is_near).unwrap_or(peer))
}

/// What a handler needs of a request besides its form.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(super) language: Language,
    pub(super) headers: HeaderMap,
    pub(super) address: Option<IpAddr>,
    pub(super) session: Option<Session>,
    /// Path and query, to come back to.
    pub(super) location: String,
}

impl Client {
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions, uri: &Uri) -> Self {
        Self {
            language: language(headers),
            headers: headers.clone(),
            address: address(headers, extensions),
            session: extensions.get::<Session>().cloned(),
            location: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers, &parts.extensions, &parts.uri))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn the_cookie_is_secure_everywhere_but_on_this_machine() {
        let token = SecretString::from("t");
        for (host, proto, plain) in [
            ("127.0.0.1:8080", "", true),
            ("localhost", "", true),
            ("[::1]:8080", "", true),
            ("localhost:8080", "https", false),
            ("billing.example", "", false),
            ("127.0.0.1.evil.example", "", false),
        ] {
            let cookie = cookie(&headers(&[("host", host), ("x-forwarded-proto", proto)]), &token);
            assert_eq!(cookie.name(), if plain { LOOPBACK_NAME } else { SECURE_NAME }, "{host}");
            assert_eq!((cookie.secure(), cookie.http_only()), (Some(!plain), Some(true)));
            assert_eq!((cookie.path(), cookie.same_site()), (Some("/"), Some(SameSite::Strict)));
            assert_eq!(cookie.domain(), None);
        }
    }

    #[test]
    fn only_a_near_proxy_says_where_a_request_came_from() {
        let from = |peer: &str, forwarded| {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            address(&headers(&[("x-forwarded-for", forwarded)]), &extensions).unwrap().to_string()
        };
        assert_eq!(from("203.0.113.9", "198.51.100.1"), "203.0.113.9");
        assert_eq!(from("127.0.0.1", "9.9.9.9, 198.51.100.1"), "198.51.100.1");
        assert_eq!(from("10.0.0.2", "nonsense"), "10.0.0.2");
    }
}
