//! The line between a process and PostgreSQL: every statement is held until the simulation lets it pass.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};

/// A simple query without a statement in it: answered with nothing.
const NOTHING: &[u8] = b"Q\0\0\0\x05\0";

struct Held {
    /// True: on to the server. False: it is lost on its way.
    go: oneshot::Sender<bool>,
    answered: oneshot::Receiver<()>,
}

/// One process's line to its database.
#[derive(Clone)]
pub(crate) struct Wire {
    addr: SocketAddr,
    held: Arc<Mutex<Option<Held>>>,
    holds: Arc<AtomicBool>,
    bell: Arc<Notify>,
}

impl Wire {
    pub(crate) async fn before(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let wire = Self { addr, held: Arc::default(), holds: Arc::default(), bell: Arc::default() };
        let serving = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (wire, server) = (serving.clone(), server.clone());
                tokio::spawn(async move { wire.carry(client, server).await });
            }
        });
        wire
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Whether statements are held at all.
    pub(crate) fn hold(&self, holds: bool) {
        self.holds.store(holds, Ordering::SeqCst);
    }

    /// Comes when a statement waits.
    pub(crate) async fn arrival(&self) {
        while self.held.lock().unwrap().is_none() {
            self.bell.notified().await;
        }
    }

    /// Lets the statement that waits pass, or get lost; answers what rings when it has been answered.
    pub(crate) fn pass(&self, arrives: bool) -> Option<oneshot::Receiver<()>> {
        let held = self.held.lock().unwrap().take()?;
        held.go.send(arrives).ok();
        Some(held.answered)
    }

    async fn carry(&self, client: TcpStream, server: (String, u16)) -> Option<()> {
        let server = TcpStream::connect(server).await.ok()?;
        let (mut client, mut server) = (End::of(client), End::of(server));
        let startup = client.untyped().await?;
        server.write(&startup).await?;
        while let Some(message) = server.message().await {
            client.write(&message).await?;
            match (message[0], message.get(8)) {
                (b'Z', _) => break,
                // A password is asked for, in one way or another.
                (b'R', Some(3 | 5 | 10 | 11)) => {
                    let reply = client.message().await?;
                    server.write(&reply).await?;
                }
                _ => {}
            }
        }
        loop {
            self.one_round(&mut client, &mut server).await?;
        }
    }

    async fn one_round(&self, client: &mut End, server: &mut End) -> Option<()> {
        let (mut asked, mut does_something) = (Vec::new(), false);
        loop {
            let message = client.message().await?;
            asked.extend_from_slice(&message);
            does_something |= message[0] == b'E' || message[0] == b'Q' && !is_housekeeping(&message);
            if matches!(message[0], b'S' | b'Q' | b'X') {
                break;
            }
        }
        let mut told = None;
        if does_something && self.holds.load(Ordering::SeqCst) {
            let (go, going) = oneshot::channel();
            let (tell, answered) = oneshot::channel();
            let before = self.held.lock().unwrap().replace(Held { go, answered });
            assert!(before.is_none(), "a process does one thing at a time");
            self.bell.notify_one();
            if !going.await.ok()? {
                asked = NOTHING.to_vec();
            }
            told = Some(tell);
        }
        server.write(&asked).await?;
        let mut answer = Vec::new();
        loop {
            let message = server.message().await?;
            answer.extend_from_slice(&message);
            if message[0] == b'Z' {
                break;
            }
        }
        client.write(&answer).await?;
        if let Some(told) = told {
            told.send(()).ok();
        }
        Some(())
    }
}

/// What the pool does to a connection that was let go of: nothing waits for it.
fn is_housekeeping(query: &[u8]) -> bool {
    let text = String::from_utf8_lossy(query.get(5..).unwrap_or_default());
    text.starts_with("/*") || text.starts_with("ROLLBACK")
}

/// One end of the line, read message by message.
struct End {
    stream: TcpStream,
    read: Vec<u8>,
}

impl End {
    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).ok();
        Self { stream, read: Vec::with_capacity(8_192) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// A message with its type and its length.
    async fn message(&mut self) -> Option<Vec<u8>> {
        self.framed(1).await
    }

    /// The first message of a client has no type.
    async fn untyped(&mut self) -> Option<Vec<u8>> {
        self.framed(0).await
    }

    async fn framed(&mut self, type_bytes: usize) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = self.read.get(type_bytes..type_bytes + 4) {
                let length = u32::from_be_bytes(length.try_into().unwrap());
                let whole = type_bytes + usize::try_from(length).unwrap();
                if self.read.len() >= whole {
                    let rest = self.read.split_off(whole);
                    return Some(std::mem::replace(&mut self.read, rest));
                }
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }
}
