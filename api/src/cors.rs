//! Which pages of other origins may call, and what their scripts may send and read.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember a preflight's answer.
const REMEMBERED: Duration = Duration::from_hours(1);

/// No cookies are ever taken: who calls is in the `Authorization` header, which no other page can make a browser send.
pub(crate) fn allow(router: Router, origins: Vec<HeaderValue>) -> Router {
    if origins.is_empty() {
        return router;
    }
    let sent = [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT_LANGUAGE];
    let read = [header::LOCATION, header::RETRY_AFTER, HeaderName::from_static("x-trace-id")];
    router.layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(sent)
            .expose_headers(read)
            .max_age(REMEMBERED),
    )
}
