//! What surrounds every request: its span, log line and figures, its problem document, headers, time limit, and CORS.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use common::jobs::caused_by;
use common::store::sessions_found_unfit;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;
use tracing::field::Empty;

use crate::app::App;
use crate::error::{ApiError, write_problem};
use crate::language::Language;
use crate::trace_id::TraceId;
use crate::{console, metrics};

const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// For everything but the wait for a payment: a database that hangs must not hold a caller for ever.
const WORK_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a browser may remember a preflight's answer.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);
/// Headers that tracing scripts of the usual vendors add to every request of a page.
const TRACING_HEADERS: [&str; 12] = [
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-origin",
    "x-datadog-sampling-priority",
];

/// Puts the middleware around all routes of `router`, its fallback included.
pub(crate) fn wrap(router: Router, app: Arc<App>) -> Router {
    let origins = app.allowed_origins.clone();
    let router = router.layer(CatchPanicLayer::custom(panicked)).layer(from_fn_with_state(app, observe));
    if origins.is_empty() {
        return router;
    }
    // Outermost, so that a page of another origin can read problems, too.
    router.layer(cors(origins))
}

/// No cookies are ever taken: who calls is in the `Authorization` header, which no other page can make a browser send.
fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    let own = [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT_LANGUAGE];
    let tracing = TRACING_HEADERS.map(HeaderName::from_static);
    let exposed = [header::LOCATION, header::RETRY_AFTER, X_TRACE_ID];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH])
        .allow_headers(own.into_iter().chain(tracing).collect::<Vec<_>>())
        .expose_headers(exposed)
        .max_age(PREFLIGHT_MAX_AGE)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    ApiError::internal(anyhow::anyhow!("a handler panicked: {words}")).into_response()
}

async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace_id = TraceId::of(request.headers());
    let language = Language::of(request.headers());
    let method = method_label(request.method());
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let is_api = request.uri().path().starts_with("/api/");
    let is_console = console::is_console(request.uri().path());
    let client = is_console.then(|| {
        let client = console::Client::of(request.headers(), request.extensions(), request.uri());
        (client, request.method().clone())
    });
    let span = tracing::info_span!(
        "request",
        http.method = method,
        http.route = route,
        trace.id = trace_id.as_str(),
        user.id = Empty
    );
    let within = WORK_TIMEOUT + app.confirm_wait;
    let work = caused_by(Some(trace_id.traceparent().to_owned()), run(next, request));
    async {
        // Dropped in the middle, a request that was committing may be on record: it is safe to repeat.
        let response = tokio::time::timeout(within, work).await.unwrap_or_else(|_| {
            ApiError::unavailable(anyhow::anyhow!("no answer within {within:?}")).into_response()
        });
        let mut response = match &client {
            Some((client, method)) => console::finish(&app, client, method, response),
            None => write_problem(response, language, &trace_id),
        };
        add_headers(&mut response, &trace_id, is_api);
        report(method, &route, response.status().as_u16(), started.elapsed());
        response
    }
    .instrument(span)
    .await
}

/// Runs the request. A read that met a session from before a changed table or a failover runs once more, on a new one.
async fn run(next: Next, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    let again = is_read.then(|| (next.clone(), Request::from_parts(parts.clone(), Body::empty())));
    let found_unfit = sessions_found_unfit();
    let response = next.run(Request::from_parts(parts, body)).await;
    match again {
        Some((next, request))
            if response.status() == StatusCode::SERVICE_UNAVAILABLE
                && sessions_found_unfit() != found_unfit =>
        {
            next.run(request).await
        }
        Some(_) | None => response,
    }
}

fn add_headers(response: &mut Response, trace_id: &TraceId, is_api: bool) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(trace_id.as_str()) {
        headers.insert(X_TRACE_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A page of the console says more exactly what it allows.
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn report(method: &'static str, route: &str, status: u16, took: Duration) {
    metrics::count_request(method, route, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // Probes and scrapes come every few seconds and say nothing.
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(http.status = status, duration_ms, "answered");
    } else {
        tracing::info!(http.status = status, duration_ms, "answered");
    }
}

/// The methods that HTTP names; any other word of a caller is one label, so that figures stay few.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "CONNECT" => "CONNECT",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use common::clock::{Clock, ClockKind};
    use common::config::Vars;
    use sqlx::postgres::PgPoolOptions;
    use tower::ServiceExt;

    use super::*;
    use crate::Config;

    async fn panics() -> &'static str {
        panic!("a secret")
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_problem_that_tells_nothing() {
        let vars = [
            ("DATABASE_URL", "postgres://db/x"),
            ("CRON_SECRET", "cron"),
            ("AUTH_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ];
        let config = Config::read(Vars::new(vars.map(|(k, v)| (k.to_owned(), v.to_owned())))).unwrap();
        let pool = PgPoolOptions::new().connect_lazy("postgres://db/x").unwrap();
        let app = App::new(pool, Clock::of(ClockKind::Test), config.settings).unwrap();
        let router = wrap(Router::new().route("/api/panics", get(panics)), app);
        let request = Request::builder().uri("/api/panics").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"code\":\"internal\"") && !body.contains("secret"), "{body}");
    }
}
