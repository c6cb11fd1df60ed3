//! The worker's port: alive, able to work, and its figures.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use common::http_server::{HttpServer, Refusal, descriptor_limit};
use common::queue::Supervisor;
use common::store::{log_readiness, readiness};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Probes and scrapes come from a few places.
const MAX_CONNECTIONS: usize = 64;
/// For the database, Toss, the mail server and the merchant's endpoint.
const RESERVED_DESCRIPTORS: usize = 160;
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// The port while it is open. A process that stops is not ready any more, but answers until its jobs have ended.
pub(crate) struct HealthPort {
    draining: CancellationToken,
    drained_at: OnceLock<Instant>,
    stop_delay: Duration,
    closing: CancellationToken,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct About {
    pool: PgPool,
    metrics: PrometheusHandle,
    supervisor: Supervisor,
    draining: CancellationToken,
}

impl HealthPort {
    pub(crate) fn open(
        listener: TcpListener,
        pool: PgPool,
        metrics: PrometheusHandle,
        supervisor: Supervisor,
        stop_delay: Duration,
    ) -> Self {
        tokio::spawn(log_readiness(pool.clone()));
        let (draining, closing) = (CancellationToken::new(), CancellationToken::new());
        let server = HttpServer {
            max_connections: descriptor_limit(MAX_CONNECTIONS, RESERVED_DESCRIPTORS),
            finish_within: FINISH_WITHIN,
            refusal: Refusal::PLAIN,
        };
        let router = router(About { pool, metrics, supervisor, draining: draining.clone() });
        let serving = tokio::spawn(server.serve(listener, router, closing.clone().cancelled_owned()));
        Self { draining, drained_at: OnceLock::new(), stop_delay, closing, serving }
    }

    /// From now on `/readyz` answers 503.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
        self.drained_at.get_or_init(Instant::now);
    }

    /// Closes the port, but not before whoever asks has had time to see that the process is not ready.
    pub(crate) async fn close(self) {
        if let Some(drained_at) = self.drained_at.get() {
            tokio::time::sleep_until(*drained_at + self.stop_delay).await;
        }
        self.closing.cancel();
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "the health port ended early");
        }
    }
}

fn router(about: About) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(about)
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
    if about.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the process is stopping\n".to_owned());
    }
    match readiness(&about.pool).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn figures(State(about): State<About>) -> String {
    about.metrics.render()
}
