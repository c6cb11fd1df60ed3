//! Serves HTTP/1.1 with a bound on everything that a client can hold: connections, request heads, slow bodies, idle
//! connections, and answers that nobody reads.
//!
//! axum's own server has none of these bounds: a few hundred half-sent requests would take all file descriptors of the
//! process. Used by the API and by the worker's health port.

mod connection;
mod refusal;
mod registry;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use connection::{AnswerBody, RequestBody, WatchedStream};
pub use refusal::Refusal;
pub use registry::descriptor_limit;
use registry::{Phase, Registry, WatchedConnection};

/// The request line and all headers of a request together. Cookies and tracing headers of a browser stay below.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// A process that has no descriptor left tries again soon: by then a connection has been closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const REAP_EVERY: Duration = Duration::from_secs(1);

/// How one listener serves.
#[derive(Debug, Clone, Copy)]
pub struct HttpServer {
    pub max_connections: usize,
    /// At the stop, connections that are still open after this are cut.
    pub finish_within: Duration,
    /// The answer to what never becomes a request: a head that is malformed or too large, one connection too many.
    pub refusal: Refusal,
}

impl HttpServer {
    /// Serves until `closing` ends. Then the listener closes, requests in progress are answered, and this returns.
    pub async fn serve(self, listener: TcpListener, router: Router, closing: impl Future<Output = ()>) {
        let (registry, stop) = (Registry::new(self.max_connections), CancellationToken::new());
        let mut connections = JoinSet::new();
        let mut reap = interval(REAP_EVERY);
        reap.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut closing = std::pin::pin!(closing);
        loop {
            tokio::select! {
                () = &mut closing => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer, &registry, &router, &stop, &mut connections),
                    Err(error) => accept_failed(&error, &registry).await,
                },
                _ = reap.tick() => registry.close_overdue(Instant::now()),
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        stop.cancel();
        let deadline = sleep(self.finish_within);
        let mut deadline = std::pin::pin!(deadline);
        loop {
            tokio::select! {
                ended = connections.join_next() => if ended.is_none() { return },
                _ = reap.tick() => registry.close_overdue(Instant::now()),
                () = &mut deadline => {
                    tracing::warn!(connections = connections.len(), "connections still open at the stop were cut");
                    return;
                }
            }
        }
    }

    fn admit(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        registry: &Arc<Registry>,
        router: &Router,
        stop: &CancellationToken,
        connections: &mut JoinSet<()>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small answers may be delayed on this connection");
        }
        match registry.enter(Instant::now()) {
            Some(watched) => {
                connections.spawn(self.converse(stream, peer, watched, router.clone(), stop.clone()));
            }
            None => {
                // Best effort: the answer fits into the empty send buffer, or the connection just closes.
                drop(stream.try_write(&self.refusal.bytes(StatusCode::SERVICE_UNAVAILABLE)));
            }
        }
    }

    async fn converse(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        watched: WatchedConnection,
        router: Router,
        stop: CancellationToken,
    ) {
        let state = watched.state();
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let (mut router, state) = (router.clone(), Arc::clone(&state));
            let mut request = request.map(|body| Body::new(RequestBody::new(body, &state)));
            request.extensions_mut().insert(ConnectInfo(peer));
            async move {
                let answer = router.call(request).await?;
                state.enter(Phase::Answer);
                Ok::<_, std::convert::Infallible>(answer.map(|body| AnswerBody::new(body, &state)))
            }
        });
        let io = TokioIo::new(WatchedStream::new(stream, Arc::clone(&state), self.refusal));
        let mut builder = http1::Builder::new();
        let connection = builder.max_header_size(MAX_HEAD_BYTES).serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let mut is_stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                () = state.closed() => return,
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn accept_failed(error: &io::Error, registry: &Registry) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "a connection could not be accepted; the longest waiting one is closed");
    registry.close_longest_waiting();
    sleep(ACCEPT_PAUSE).await;
}
