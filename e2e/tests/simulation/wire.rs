//! The line between a process and PostgreSQL: every statement is held until the simulation lets it pass, and a process
//! that dies loses its connections, so that the database rolls back.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot, watch},
};

use crate::{asked::Asked, end::End};

/// "You are in": what a client hears that is given a connection which another has left.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0";
/// The answer to the pool's ping, which need not go to the server.
const PONG: &[u8] = b"I\0\0\0\x04Z\0\0\0\x05I";

/// A statement that waits to be let through. Dropping it loses it on its way.
struct Held {
    backend: i32,
    is_commit: bool,
    go: oneshot::Sender<()>,
    answered: oneshot::Receiver<()>,
}

/// A statement that is with the database.
pub(crate) struct Asking {
    pub(crate) backend: i32,
    /// Rings when it has been answered.
    pub(crate) answered: oneshot::Receiver<()>,
}

/// A connection to the server, which outlives the processes that use it: a new one would cost ten times the seed.
struct Server {
    end: End,
    backend: i32,
    greeting: Vec<u8>,
}

#[derive(Default)]
struct State {
    holds: bool,
    held: Option<Held>,
    clients: usize,
    /// Backends in the middle of a transaction or a statement: only they hold locks.
    busy: BTreeSet<i32>,
    spare: Vec<Server>,
}

struct Line {
    addr: SocketAddr,
    server: (String, u16),
    state: Mutex<State>,
    changed: Notify,
    cut: watch::Sender<u64>,
}

/// One process's line to its database.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Line>);

enum Round {
    Done,
    ClientGone,
    ServerLost,
}

impl Wire {
    pub(crate) async fn before(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (state, changed, cut) = (Mutex::default(), Notify::new(), watch::Sender::default());
        let wire = Self(Arc::new(Line { addr, server, state, changed, cut }));
        let serving = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                serving.state().clients += 1;
                let wire = serving.clone();
                tokio::spawn(async move { wire.carry(End::of(client)).await });
            }
        });
        wire
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.addr.port()
    }

    /// Whether statements are held at all.
    pub(crate) fn hold(&self, holds: bool) {
        self.state().holds = holds;
    }

    pub(crate) fn busy(&self) -> BTreeSet<i32> {
        self.state().busy.clone()
    }

    /// Comes when a statement waits.
    pub(crate) async fn arrival(&self) {
        self.until(|state| state.held.is_some()).await;
    }

    /// Whether the statement that waits can be let through without its waiting for anybody's lock.
    pub(crate) fn holds_a_commit(&self) -> bool {
        self.state().held.as_ref().is_some_and(|held| held.is_commit)
    }

    pub(crate) fn pass(&self) -> Option<Asking> {
        let Held { backend, go, answered, .. } = self.state().held.take()?;
        go.send(()).ok();
        Some(Asking { backend, answered })
    }

    /// The process is gone. Comes when the database has noticed.
    pub(crate) async fn cut(&self) {
        self.0.cut.send_modify(|life| *life += 1);
        self.change(|state| {
            state.holds = false;
            state.held = None;
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

    async fn until(&self, so: impl Fn(&State) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            if so(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    async fn carry(&self, mut client: End) {
        let mut cut = self.0.cut.subscribe();
        if let Some(mut server) = self.greet(&mut client).await {
            let last = loop {
                match self.one_round(&mut client, &mut server, &mut cut).await {
                    Round::Done => {}
                    last => break last,
                }
            };
            let sound = matches!(last, Round::ClientGone) && clear(&mut server.end).await.is_some();
            self.state().busy.remove(&server.backend);
            if sound {
                self.state().spare.push(server);
            }
        }
        self.change(|state| state.clients -= 1);
    }

    async fn greet(&self, client: &mut End) -> Option<Server> {
        let startup = client.untyped().await?;
        let spare = self.state().spare.pop();
        if let Some(server) = spare {
            client.write(&server.greeting).await?;
            return Some(server);
        }
        let (host, port) = (self.0.server.0.as_str(), self.0.server.1);
        let mut end = End::of(TcpStream::connect((host, port)).await.ok()?);
        let (mut backend, mut greeting) = (0, WELCOME.to_vec());
        end.write(&startup).await?;
        loop {
            let message = end.message().await?;
            client.write(&message).await?;
            match (message[0], message.get(8)) {
                // A password is asked for, in one way or another.
                (b'R', Some(3 | 5 | 10 | 11)) => end.write(&client.message().await?).await?,
                (b'S', _) => greeting.extend(message),
                (b'K', _) => {
                    backend = i32::from_be_bytes(message[5..9].try_into().unwrap());
                    greeting.extend(message);
                }
                (b'Z', _) => {
                    greeting.extend(message);
                    return Some(Server { end, backend, greeting });
                }
                _ => {}
            }
        }
    }

    async fn one_round(
        &self,
        client: &mut End,
        server: &mut Server,
        cut: &mut watch::Receiver<u64>,
    ) -> Round {
        let asked = tokio::select! {
            biased;
            _ = cut.changed() => None,
            asked = Asked::read(client) => asked,
        };
        let Some(asked) = asked else { return Round::ClientGone };
        if asked.is_ping() && !self.state().busy.contains(&server.backend) {
            return client.write(PONG).await.map_or(Round::ClientGone, |()| Round::Done);
        }
        let mut told = None;
        if asked.does_something && self.state().holds {
            tokio::select! {
                biased;
                _ = cut.changed() => return Round::ClientGone,
                tell = self.wait_for_leave(server.backend, asked.is_commit()) => match tell {
                    Some(tell) => told = Some(tell),
                    None => return Round::ClientGone,
                },
            }
        }
        self.state().busy.insert(server.backend);
        let answer = tokio::select! {
            biased;
            answer = exchange(&mut server.end, &asked.bytes) => answer,
            _ = cut.changed() => None,
        };
        let Some(answer) = answer else { return Round::ServerLost };
        if answer.last() == Some(&b'I') {
            self.change(|state| {
                state.busy.remove(&server.backend);
            });
        }
        let written = client.write(&answer).await;
        if let Some(told) = told {
            told.send(()).ok();
        }
        written.map_or(Round::ClientGone, |()| Round::Done)
    }

    /// What the process has just let go of is rolled back first: a process does one thing at a time.
    async fn wait_for_leave(&self, backend: i32, is_commit: bool) -> Option<oneshot::Sender<()>> {
        self.until(|state| state.busy.iter().all(|busy| *busy == backend)).await;
        let (go, going) = oneshot::channel();
        let (tell, answered) = oneshot::channel();
        self.change(|state| state.held = Some(Held { backend, is_commit, go, answered }));
        going.await.ok().map(|()| tell)
    }
}

async fn exchange(server: &mut End, asked: &[u8]) -> Option<Vec<u8>> {
    server.write(asked).await?;
    let mut answer = Vec::new();
    loop {
        let message = server.message().await?;
        answer.extend_from_slice(&message);
        if message[0] == b'Z' {
            return Some(answer);
        }
    }
}

/// As new, for the next process.
async fn clear(server: &mut End) -> Option<()> {
    exchange(server, b"Q\0\0\0\x0dROLLBACK\0").await?;
    exchange(server, b"Q\0\0\0\x13DEALLOCATE ALL\0").await.map(|_| ())
}
