//! What the worker says about itself: alive, able to work, and its figures.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use common::store::readiness;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;

#[derive(Clone)]
struct About {
    pool: PgPool,
    metrics: PrometheusHandle,
}

pub(crate) fn router(pool: PgPool, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(About { pool, metrics })
}

async fn ready(State(about): State<About>) -> (StatusCode, String) {
    match readiness(&about.pool).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn figures(State(about): State<About>) -> String {
    about.metrics.render()
}
