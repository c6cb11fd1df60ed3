//! Serves until asked to stop, then finishes the requests in hand.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{app::App, router::router};

/// A connection that is still open this long after the stop is cut.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);
/// Histograms keep every observation until they are tidied.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);

/// Serves `app` on `listener` until `shutdown` comes; waiting confirmations are then answered 202 at once.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let mut background = JoinSet::new();
    background.spawn(listen_for_settlements(Arc::clone(&app)));
    background.spawn(tidy_metrics(Arc::clone(&app)));
    let stopping = app.stopping.clone();
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "small answers may be delayed on this connection");
        }
    });
    let asked = stopping.clone();
    let router = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        asked.cancel();
    });
    let too_late = async {
        stopping.cancelled().await;
        tokio::time::sleep(LEAVE_WITHIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = too_late => {
            tracing::warn!("connections that would not end were cut");
            Ok(())
        }
    }
}

async fn listen_for_settlements(app: Arc<App>) {
    app.settlements.keep_listening().await;
}

async fn tidy_metrics(app: Arc<App>) {
    loop {
        tokio::time::sleep(TIDY_METRICS_EVERY).await;
        app.metrics.run_upkeep();
    }
}
