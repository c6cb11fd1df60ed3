//! Figures for Prometheus: how many requests, how long they took, how busy the database's pool is.

use std::{sync::OnceLock, time::Duration};

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;

/// In seconds. A confirmation waits up to a minute for its payment.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's one recorder: several apps in one process (as in tests) count together.
pub(crate) fn recorder() -> PrometheusHandle {
    let install = || {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder was installed first: /metrics stays empty");
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
}

/// Every label comes from a closed set: a method of HTTP, a route of the router, a status.
pub(crate) fn count_request(method: &'static str, route: &str, status: u16, took: Duration) {
    let route = route.to_owned();
    let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route).record(took);
}

pub(crate) fn measure_pool(pool: &PgPool) {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    gauge!("db_pool_connections", "state" => "idle").set(f64::from(idle));
    gauge!("db_pool_connections", "state" => "in_use").set(f64::from(pool.size().saturating_sub(idle)));
}
