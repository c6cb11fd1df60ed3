//! `GET /healthz`: this process is alive. `GET /readyz`: it can serve. `GET /metrics`: figures in Prometheus's text format.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use common::store::readiness;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, error::ApiError, metrics::measure_pool};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// A background task of the process that cannot run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failing {
    #[schema(example = "failing")]
    status: &'static str,
    #[schema(example = "clock follower")]
    task: &'static str,
    reason: String,
}

/// Alive: every background task runs.
#[utoipa::path(
    get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "Alive", body = Health), (status = 503, description = "A background task cannot run", body = Failing))
)]
pub(crate) async fn healthz(
    State(app): State<Arc<App>>,
) -> Result<Json<Health>, (StatusCode, Json<Failing>)> {
    match app.supervisor.failing() {
        None => Ok(Json(Health { status: "ok" })),
        Some(task) => {
            let failing = Failing { status: "failing", task: task.name, reason: task.reason };
            Err((StatusCode::SERVICE_UNAVAILABLE, Json(failing)))
        }
    }
}

/// Able to serve.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Able to serve", body = Health), (status = 503, description = "The process is stopping, or the database is away, cannot write, or has a schema that is too old"))
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    if app.draining.is_cancelled() {
        return Err(ApiError::unavailable(anyhow::anyhow!("the process is stopping")));
    }
    readiness(&app.pool).await.map_err(ApiError::unavailable)?;
    Ok(Json(Health { status: "ok" }))
}

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus's text format", body = String, content_type = "text/plain"))
)]
pub(crate) async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    measure_pool(&app.pool);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
