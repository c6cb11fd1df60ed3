//! What the worker says about itself: alive, able to work, and its figures.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use common::{queue::Supervisor, store::readiness};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;

#[derive(Clone)]
struct About {
    pool: PgPool,
    metrics: PrometheusHandle,
    supervisor: Supervisor,
}

pub(crate) fn router(pool: PgPool, metrics: PrometheusHandle, supervisor: Supervisor) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(About { pool, metrics, supervisor })
}

/// A process of which one background task cannot run does not do its work, though it answers.
async fn alive(State(about): State<About>) -> (StatusCode, String) {
    match about.supervisor.failing() {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(task) => {
            let line = format!("background task {} cannot run: {}\n", task.name, task.reason);
            (StatusCode::SERVICE_UNAVAILABLE, line)
        }
    }
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
