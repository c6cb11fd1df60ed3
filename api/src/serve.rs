//! Serves until asked to stop: readiness fails first, then the listener closes, then the requests in progress end.

use std::{future::Future, sync::Arc, time::Duration};

use common::http_server::{HttpServer, Refusal, descriptor_limit};
use common::queue::Progress;
use common::store::log_readiness;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{app::App, error::refusal_document, router::router};

/// A connection that is still open this long after the listener closed is cut.
const FINISH_WITHIN: Duration = Duration::from_secs(20);
const MAX_CONNECTIONS: usize = 1_000;
/// For the database's connections, the listeners, logs and key downloads.
const RESERVED_DESCRIPTORS: usize = 64;
/// Histograms keep every observation until they are tidied.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);
/// Each background task says more often than this that it is alive, a database that does not answer included.
const STALL_AFTER: Duration = Duration::from_mins(2);

/// Serves `app` on `listener` until `shutdown` comes. `/readyz` then answers 503 while load balancers look elsewhere;
/// after the configured delay the listener closes, and waiting confirmations are answered 202 at once.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let background = CancellationToken::new();
    let _ends_with_serving = background.clone().drop_guard();
    let (listening, tidying) = (Arc::clone(&app), Arc::clone(&app));
    app.supervisor.spawn("settlement listener", STALL_AFTER, background.clone(), move |progress| {
        listen_for_settlements(Arc::clone(&listening), progress)
    });
    app.supervisor.spawn("metrics upkeep", STALL_AFTER, background, move |progress| {
        tidy_metrics(Arc::clone(&tidying), progress)
    });
    tokio::spawn(log_readiness(app.pool.clone()));
    let closing = close_after(Arc::clone(&app), shutdown);
    let server = HttpServer {
        max_connections: descriptor_limit(MAX_CONNECTIONS, RESERVED_DESCRIPTORS),
        finish_within: FINISH_WITHIN,
        refusal: Refusal { content_type: "application/problem+json", body: refusal_document },
    };
    server.serve(listener, router(app), closing).await;
}

async fn close_after(app: Arc<App>, shutdown: impl Future<Output = ()>) {
    shutdown.await;
    app.draining.cancel();
    tokio::time::sleep(app.stop_delay).await;
    app.stopping.cancel();
}

async fn listen_for_settlements(app: Arc<App>, progress: Progress) {
    app.settlements.keep_listening(|| progress.mark()).await;
}

async fn tidy_metrics(app: Arc<App>, progress: Progress) {
    loop {
        progress.mark();
        tokio::time::sleep(TIDY_METRICS_EVERY).await;
        app.metrics.run_upkeep();
    }
}
