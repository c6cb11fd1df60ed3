//! What surrounds every request: its span, log line and figures, its problem document, headers, and a time limit.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use common::jobs::caused_by;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, Span, field::Empty};

use crate::{app::App, error::ApiError, language::Language, metrics, problem, trace_id::TraceId};

const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// For everything but the wait for a payment: a database that hangs must not hold a caller for ever.
const WORK_WITHIN: Duration = Duration::from_secs(20);

/// Puts the edge around all routes of `router`, its fallback included.
pub(crate) fn around(router: Router, app: Arc<App>) -> Router {
    router.layer(CatchPanicLayer::custom(panicked)).layer(from_fn_with_state(app, edge))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    ApiError::Internal(anyhow::anyhow!("a handler panicked: {words}")).into_response()
}

async fn edge(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace_id = TraceId::of(request.headers());
    let language = Language::of(request.headers());
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let is_api = request.uri().path().starts_with("/api/");
    let span = tracing::info_span!(
        "request", http.method = %method, http.route = route, trace.id = trace_id.as_str(), user.id = Empty
    );
    let within = WORK_WITHIN + app.confirm_wait;
    let work = caused_by(Some(trace_id.traceparent().to_owned()), next.run(request));
    async {
        // Dropped in the middle, a request that was committing may be on record: it is safe to repeat.
        let response = tokio::time::timeout(within, work).await.unwrap_or_else(|_| {
            ApiError::Unavailable(anyhow::anyhow!("no answer within {within:?}")).into_response()
        });
        let mut response = problem::write(response, language, &trace_id);
        add_headers(&mut response, &trace_id, is_api);
        report(&method, &route, response.status().as_u16(), started.elapsed());
        response
    }
    .instrument(span)
    .await
}

fn add_headers(response: &mut Response, trace_id: &TraceId, is_api: bool) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(trace_id.as_str()) {
        headers.insert(X_TRACE_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn report(method: &Method, route: &str, status: u16, took: Duration) {
    metrics::count_request(method.as_str(), route, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // Probes and scrapes come every few seconds and say nothing.
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(http.status = status, duration_ms, "answered");
    } else {
        tracing::info!(http.status = status, duration_ms, "answered");
    }
}

/// Names the user in everything that is logged about this request from here on.
pub(crate) fn note_user(user: uuid::Uuid) {
    Span::current().record("user.id", tracing::field::display(user));
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use common::{
        clock::{Clock, ClockKind},
        config::Vars,
    };
    use sqlx::postgres::PgPoolOptions;
    use tower::ServiceExt;

    use super::*;
    use crate::Config;

    async fn panics() -> &'static str {
        panic!("a secret")
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_an_internal_problem_that_tells_nothing() {
        let vars = [
            ("DATABASE_URL", "postgres://db/x"),
            ("CRON_SECRET", "cron"),
            ("AUTH_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ];
        let config = Config::read(Vars::new(vars.map(|(k, v)| (k.to_owned(), v.to_owned())))).unwrap();
        let pool = PgPoolOptions::new().connect_lazy("postgres://db/x").unwrap();
        let app = App::new(pool, Clock::of(ClockKind::Test), config.settings).unwrap();
        let router = around(Router::new().route("/api/panics", get(panics)), app);
        let request = Request::builder().uri("/api/panics").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"code\":\"internal\"") && !body.contains("secret"), "{body}");
    }
}
