//! A running sandbox: the router, the listener, the dispatcher, and their end.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::connection::{CuttableConnection, CuttableListener};
use crate::script::Script;
use crate::{api, browser, script, webhook_dispatcher};

/// How long requests in hand get to finish; one that a fault lets hang is dropped then.
const GRACE: Duration = Duration::from_secs(3);

/// A server on its own port. Dropping it stops it at once.
#[derive(Debug)]
pub struct Sandbox {
    script: Script,
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    dispatcher: JoinHandle<()>,
}

impl Sandbox {
    /// Starts with the default configuration; port 0 takes a free port. Fails when the address is taken.
    pub async fn start(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::start_with(addr, Config::default()).await
    }

    pub async fn start_with(addr: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let script = Script::new(config);
        let service = router(script.clone()).into_make_service_with_connect_info::<CuttableConnection>();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let serve = axum::serve(CuttableListener(listener), service).with_graceful_shutdown(async {
                stopped.await.ok();
            });
            if let Err(error) = serve.await {
                tracing::error!(%error, "the server stopped");
            }
        });
        let dispatcher = tokio::spawn(webhook_dispatcher::run(script.clone()));
        Ok(Self { script, addr, stop: Some(stop), server, dispatcher })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops accepting, lets requests in hand finish for up to three seconds, and ends.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            tracing::info!("requests that were still open are dropped");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
        self.dispatcher.abort();
    }
}

impl Deref for Sandbox {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}

fn router(script: Script) -> Router {
    Router::new()
        .merge(script::routes())
        .merge(browser::routes())
        .fallback(api::serve)
        .method_not_allowed_fallback(api::serve)
        .with_state(script)
}
