//! A proxy between one simulated process and PostgreSQL. It holds each statement until the simulation releases it, so
//! that the seed decides the order of all statements. Disconnecting it kills the process's connections: the database
//! rolls back, as after a crash.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};

use crate::postgres_messages::{Connection, Statement};

/// `AuthenticationOk`: sent to a client that takes over an idle server connection.
const AUTHENTICATION_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
/// `EmptyQueryResponse` and `ReadyForQuery`: the answer to the pool's ping, which never reaches the server.
const PING_ANSWER: &[u8] = b"I\0\0\0\x04Z\0\0\0\x05I";

/// A statement that waits for the simulation. Dropping it loses the statement before it reaches the server.
struct PendingStatement {
    backend: i32,
    is_commit: bool,
    release: oneshot::Sender<()>,
    answered: oneshot::Receiver<()>,
}

/// A statement that the server executes.
pub(crate) struct SentStatement {
    pub(crate) backend: i32,
    /// Fires when the server has answered.
    pub(crate) answered: oneshot::Receiver<()>,
}

/// A connection to the server with its backend's process id. It outlives the client that used it.
// Opening a connection takes longer than a whole seed, so connections are reused.
struct ServerConnection {
    connection: Connection,
    backend: i32,
    greeting: Vec<u8>,
}

#[derive(Default)]
struct State {
    is_holding: bool,
    pending: Option<PendingStatement>,
    clients: usize,
    /// Backends inside a transaction or a statement: only they can hold locks.
    busy: BTreeSet<i32>,
    idle: Vec<ServerConnection>,
}

struct Shared {
    addr: SocketAddr,
    server: (String, u16),
    state: Mutex<State>,
    changed: Notify,
    disconnect: watch::Sender<u64>,
}

/// The proxy of one simulated process.
#[derive(Clone)]
pub(crate) struct PostgresProxy(Arc<Shared>);

enum RoundTrip {
    Done,
    ClientGone,
    ServerLost,
}

impl PostgresProxy {
    pub(crate) async fn start(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (state, changed, disconnect) = (Mutex::default(), Notify::new(), watch::Sender::default());
        let proxy = Self(Arc::new(Shared { addr, server, state, changed, disconnect }));
        let acceptor = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                acceptor.state().clients += 1;
                let proxy = acceptor.clone();
                tokio::spawn(async move { proxy.serve(Connection::new(client)).await });
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.addr.port()
    }

    /// Turns holding on or off. While it is off, statements pass at once.
    pub(crate) fn hold_statements(&self, is_holding: bool) {
        self.state().is_holding = is_holding;
    }

    pub(crate) fn busy(&self) -> BTreeSet<i32> {
        self.state().busy.clone()
    }

    /// Returns once a statement is pending.
    pub(crate) async fn statement_arrived(&self) {
        self.until(|state| state.pending.is_some()).await;
    }

    /// Whether the pending statement is a COMMIT, which never waits for a lock.
    pub(crate) fn is_holding_commit(&self) -> bool {
        self.state().pending.as_ref().is_some_and(|pending| pending.is_commit)
    }

    /// Sends the pending statement to the server.
    pub(crate) fn release(&self) -> Option<SentStatement> {
        let PendingStatement { backend, release, answered, .. } = self.state().pending.take()?;
        release.send(()).ok();
        Some(SentStatement { backend, answered })
    }

    /// Closes all connections of the process. Returns once the server has rolled back.
    pub(crate) async fn disconnect(&self) {
        self.0.disconnect.send_modify(|generation| *generation += 1);
        self.change(|state| {
            state.is_holding = false;
            state.pending = None;
        });
        self.until(|state| state.clients == 0).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_waiters();
    }

    async fn until(&self, is_reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            if is_reached(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    async fn serve(&self, mut client: Connection) {
        let mut disconnect = self.0.disconnect.subscribe();
        if let Some(mut server) = self.connect_to_server(&mut client).await {
            let last = loop {
                match self.forward_round_trip(&mut client, &mut server, &mut disconnect).await {
                    RoundTrip::Done => {}
                    last => break last,
                }
            };
            let is_reusable =
                matches!(last, RoundTrip::ClientGone) && reset(&mut server.connection).await.is_some();
            self.state().busy.remove(&server.backend);
            if is_reusable {
                self.state().idle.push(server);
            }
        }
        self.change(|state| state.clients -= 1);
    }

    /// Gives the client an idle server connection, or opens a new one.
    async fn connect_to_server(&self, client: &mut Connection) -> Option<ServerConnection> {
        let startup = client.startup_message().await?;
        let idle = self.state().idle.pop();
        if let Some(server) = idle {
            client.write(&server.greeting).await?;
            return Some(server);
        }
        let (host, port) = (self.0.server.0.as_str(), self.0.server.1);
        let mut connection = Connection::new(TcpStream::connect((host, port)).await.ok()?);
        let (mut backend, mut greeting) = (0, AUTHENTICATION_OK.to_vec());
        connection.write(&startup).await?;
        loop {
            let message = connection.message().await?;
            client.write(&message).await?;
            match (message[0], message.get(8)) {
                // The server asks for a password, by one of its methods.
                (b'R', Some(3 | 5 | 10 | 11)) => connection.write(&client.message().await?).await?,
                (b'S', _) => greeting.extend(message),
                (b'K', _) => {
                    backend = i32::from_be_bytes(message[5..9].try_into().unwrap());
                    greeting.extend(message);
                }
                (b'Z', _) => {
                    greeting.extend(message);
                    return Some(ServerConnection { connection, backend, greeting });
                }
                _ => {}
            }
        }
    }

    /// Forwards one statement and its answer.
    async fn forward_round_trip(
        &self,
        client: &mut Connection,
        server: &mut ServerConnection,
        disconnect: &mut watch::Receiver<u64>,
    ) -> RoundTrip {
        let statement = tokio::select! {
            biased;
            _ = disconnect.changed() => None,
            statement = Statement::read(client) => statement,
        };
        let Some(statement) = statement else { return RoundTrip::ClientGone };
        if statement.is_ping() && !self.state().busy.contains(&server.backend) {
            return client.write(PING_ANSWER).await.map_or(RoundTrip::ClientGone, |()| RoundTrip::Done);
        }
        let mut answered_sender = None;
        if statement.executes && self.state().is_holding {
            tokio::select! {
                biased;
                _ = disconnect.changed() => return RoundTrip::ClientGone,
                sender = self.wait_for_release(server.backend, statement.is_commit()) => match sender {
                    Some(sender) => answered_sender = Some(sender),
                    None => return RoundTrip::ClientGone,
                },
            }
        }
        self.state().busy.insert(server.backend);
        let answer = tokio::select! {
            biased;
            answer = exchange(&mut server.connection, &statement.bytes) => answer,
            _ = disconnect.changed() => None,
        };
        let Some(answer) = answer else { return RoundTrip::ServerLost };
        if answer.last() == Some(&b'I') {
            self.change(|state| {
                state.busy.remove(&server.backend);
            });
        }
        let written = client.write(&answer).await;
        if let Some(sender) = answered_sender {
            sender.send(()).ok();
        }
        written.map_or(RoundTrip::ClientGone, |()| RoundTrip::Done)
    }

    /// Makes the statement pending. Returns what reports its answer, or `None` when the process was killed.
    async fn wait_for_release(&self, backend: i32, is_commit: bool) -> Option<oneshot::Sender<()>> {
        // A dropped transaction rolls back in the background: it comes first, because a process does one thing at a time.
        self.until(|state| state.busy.iter().all(|busy| *busy == backend)).await;
        let (release, released) = oneshot::channel();
        let (answered_sender, answered) = oneshot::channel();
        self.change(|state| state.pending = Some(PendingStatement { backend, is_commit, release, answered }));
        released.await.ok().map(|()| answered_sender)
    }
}

async fn exchange(server: &mut Connection, statement: &[u8]) -> Option<Vec<u8>> {
    server.write(statement).await?;
    let mut answer = Vec::new();
    loop {
        let message = server.message().await?;
        answer.extend_from_slice(&message);
        if message[0] == b'Z' {
            return Some(answer);
        }
    }
}

/// Brings a connection back to the state after login.
async fn reset(server: &mut Connection) -> Option<()> {
    exchange(server, b"Q\0\0\0\x0dROLLBACK\0").await?;
    exchange(server, b"Q\0\0\0\x13DEALLOCATE ALL\0").await.map(|_| ())
}
