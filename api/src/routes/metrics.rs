//! `GET /metrics`: figures in Prometheus's text format.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use crate::{app::App, metrics::measure_pool};

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus's text format", body = String, content_type = "text/plain"))
)]
pub(crate) async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    measure_pool(&app.pool);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
