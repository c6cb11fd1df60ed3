//! Serves until asked to stop, then finishes the requests in hand.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
use common::queue::Progress;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{app::App, router::router};

/// A connection that is still open this long after the stop is cut.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);
/// Histograms keep every observation until they are tidied.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);
/// Each background task says more often than this that it is alive, a database that does not answer included.
const STALL_AFTER: Duration = Duration::from_mins(2);

/// Serves `app` on `listener` until `shutdown` comes; waiting confirmations are then answered 202 at once.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let background = CancellationToken::new();
    let _ends_with_serving = background.clone().drop_guard();
    let (listening, tidying) = (Arc::clone(&app), Arc::clone(&app));
    app.supervisor.spawn("settlement listener", STALL_AFTER, background.clone(), move |progress| {
        listen_for_settlements(Arc::clone(&listening), progress)
    });
    app.supervisor.spawn("metrics upkeep", STALL_AFTER, background, move |progress| {
        tidy_metrics(Arc::clone(&tidying), progress)
    });
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
