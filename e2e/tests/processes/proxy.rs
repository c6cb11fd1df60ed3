//! A line to PostgreSQL that can be cut and mended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::PgPool;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

pub(crate) struct Line {
    address: SocketAddr,
    up: watch::Sender<bool>,
    turned_away: Arc<AtomicUsize>,
}

impl Line {
    /// A line to the server of this pool.
    pub(crate) async fn to(pool: &PgPool) -> Self {
        let options = pool.connect_options();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, is_up) = watch::channel(true);
        let turned_away = Arc::new(AtomicUsize::new(0));
        tokio::spawn(carry(listener, server, is_up, turned_away.clone()));
        Self { address, up, turned_away }
    }

    /// The same database as `url`, over this line.
    pub(crate) fn over(&self, mut url: Url) -> Url {
        url.set_ip_host(self.address.ip()).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url
    }

    /// Breaks every connection and takes no new one.
    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }

    /// Connections that found the line cut so far.
    pub(crate) fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::Relaxed)
    }
}

async fn carry(
    listener: TcpListener,
    server: (String, u16),
    up: watch::Receiver<bool>,
    turned_away: Arc<AtomicUsize>,
) {
    while let Ok((mut client, _)) = listener.accept().await {
        if !*up.borrow() {
            turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let (server, mut up) = (server.clone(), up.clone());
        tokio::spawn(async move {
            let Ok(mut upstream) = TcpStream::connect(server).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut upstream) => {}
                _ = up.wait_for(|up| !up) => {}
            }
        });
    }
}
