//! A proxy before PostgreSQL that counts, at the wire, what a process asks of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Ends when it is dropped, with the connections through it.
pub struct CountingProxy {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    round_trips: AtomicU64,
    commits: AtomicU64,
}

/// What has passed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Each time the server said that it is ready for the next question: statements, BEGIN, COMMIT, pings.
    pub round_trips: u64,
    /// Transactions that wrote, those of a single statement included. A statement that only calls a function that writes
    /// is taken for a read.
    pub commits: u64,
}

impl CountingProxy {
    /// Before the server of this URL, without TLS.
    pub async fn before(database: &Url) -> anyhow::Result<Self> {
        let host = database.host_str().context("the URL names no host")?.to_owned();
        let server = (host, database.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect(server.clone()).await else { continue };
                let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
                connections.spawn(pass(client, upstream, counting.clone()));
            }
        });
        Ok(Self { address, counts, accepting })
    }

    /// The same database, over this proxy.
    pub fn over(&self, database: &Url) -> anyhow::Result<Url> {
        let mut url = database.clone();
        url.set_host(Some("127.0.0.1")).context("the URL takes no host")?;
        url.set_port(Some(self.address.port())).map_err(|()| anyhow::anyhow!("the URL takes no port"))?;
        url.query_pairs_mut().append_pair("sslmode", "disable");
        Ok(url)
    }

    pub fn passed(&self) -> Passed {
        Passed {
            round_trips: self.counts.round_trips.load(Ordering::Relaxed),
            commits: self.counts.commits.load(Ordering::Relaxed),
        }
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(client: TcpStream, server: TcpStream, counts: Arc<Counts>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = count(from_server, to_client, &counts) => {}
    }
}

/// Passes the server's messages on, one by one: a tag, a length that counts itself, and the rest.
async fn count(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    counts: &Counts,
) -> std::io::Result<()> {
    let (mut has_written, mut body) = (false, Vec::new());
    loop {
        let tag = server.read_u8().await?;
        let length = server.read_u32().await?;
        body.resize(usize::try_from(length.saturating_sub(4)).unwrap_or_default(), 0);
        server.read_exact(&mut body).await?;
        match tag {
            b'C' => {
                let wrote = [b"INSERT".as_slice(), b"UPDATE", b"DELETE"];
                has_written |= wrote.iter().any(|command| body.starts_with(command));
            }
            b'Z' => {
                counts.round_trips.fetch_add(1, Ordering::Relaxed);
                // Idle: outside a transaction.
                if body.first() == Some(&b'I') && std::mem::take(&mut has_written) {
                    counts.commits.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        let mut message = Vec::with_capacity(body.len().saturating_add(5));
        message.push(tag);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&body);
        client.write_all(&message).await?;
    }
}
