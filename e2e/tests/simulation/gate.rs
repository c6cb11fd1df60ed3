//! The line between the workers and the gateway: every request is held at a gate until the simulation lets it pass.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use sandbox::Operation;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// The order, or for a cancel the payment key.
    pub(crate) name: String,
    pub(crate) amount: Option<i64>,
    /// That is to be charged or deleted.
    pub(crate) billing_key: Option<String>,
}

/// A request that waits at the gate. Dropping it loses the request on its way.
pub(crate) struct Held {
    pub(crate) asked: Asked,
    go: oneshot::Sender<()>,
    answered: oneshot::Receiver<String>,
}

impl Held {
    /// Lets it pass; answers what the gateway said, once that is on its way back.
    pub(crate) async fn pass(self) -> String {
        self.go.send(()).ok();
        self.answered.await.unwrap_or_else(|_| "nobody was there any more".to_owned())
    }
}

/// One process's line.
#[derive(Clone)]
pub(crate) struct Gate {
    addr: SocketAddr,
    held: Arc<Mutex<VecDeque<Held>>>,
    bell: Arc<Notify>,
}

impl Gate {
    pub(crate) async fn before(sandbox: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let gate = Self { addr, held: Arc::default(), bell: Arc::default() };
        let serving = gate.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let gate = serving.clone();
                tokio::spawn(async move { gate.carry(client, sandbox).await });
            }
        });
        gate
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn is_holding(&self) -> bool {
        !self.held.lock().unwrap().is_empty()
    }

    pub(crate) fn asked(&self) -> Option<Asked> {
        self.held.lock().unwrap().front().map(|held| held.asked.clone())
    }

    pub(crate) fn take(&self) -> Option<Held> {
        self.held.lock().unwrap().pop_front()
    }

    /// Comes when a request has arrived.
    pub(crate) async fn arrival(&self) {
        while !self.is_holding() {
            self.bell.notified().await;
        }
    }

    async fn carry(&self, mut client: TcpStream, sandbox: SocketAddr) {
        client.set_nodelay(true).ok();
        if let Some(request) = read_message(&mut client).await {
            let (go, going) = oneshot::channel();
            let (tell, answered) = oneshot::channel();
            self.held.lock().unwrap().push_back(Held { asked: parse(&request), go, answered });
            self.bell.notify_one();
            if going.await.is_err() {
                return;
            }
            let Some(answer) = exchange(sandbox, &request).await else {
                drop(client);
                tell.send("the line was cut".to_owned()).ok();
                return;
            };
            // One call, one connection: whether one is used again would depend on who is faster.
            client.write_all(&closing(&answer)).await.ok();
            tell.send(said(&answer)).ok();
        }
    }
}

async fn exchange(sandbox: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(sandbox).await.ok()?;
    stream.set_nodelay(true).ok();
    stream.write_all(request).await.ok()?;
    read_message(&mut stream).await
}

fn closing(answer: &[u8]) -> Vec<u8> {
    let end = find(answer, b"\r\n").unwrap_or_default();
    [&answer[..end], b"\r\nconnection: close", &answer[end..]].concat()
}

/// One HTTP/1.1 message with a content length. None: the line ended before it did.
async fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4_096);
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |text| text.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn body(message: &[u8]) -> Value {
    let start = find(message, b"\r\n\r\n").map_or(message.len(), |end| end + 4);
    serde_json::from_slice(&message[start..]).unwrap_or_default()
}

fn parse(request: &[u8]) -> Asked {
    let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
    let path = line.split([' ', '?']).nth(1).unwrap_or_default();
    let path: Vec<&str> = path.split('/').skip(2).collect();
    let body = body(request);
    let order = body["orderId"].as_str().unwrap_or_default().to_owned();
    let billing_key = match path.as_slice() {
        ["billing", key] => Some(key.replace("%3D", "=")),
        _ => None,
    };
    let (operation, name) = match path.as_slice() {
        ["payments", "confirm"] => (Operation::Confirm, order),
        ["payments", "orders", order] => (Operation::Lookup, (*order).to_owned()),
        ["payments", key, "cancel"] => (Operation::Cancel, (*key).to_owned()),
        ["payments", key] => (Operation::Lookup, (*key).to_owned()),
        ["billing", "authorizations", "issue"] => (Operation::Issue, String::new()),
        ["billing", _] if line.starts_with("DELETE") => (Operation::Delete, String::new()),
        ["billing", _] => (Operation::Charge, order),
        ["transactions"] => (Operation::Transactions, String::new()),
        other => panic!("a worker asked for {other:?}"),
    };
    Asked { operation, name, amount: body["amount"].as_i64(), billing_key }
}

/// Status and code, for the story.
fn said(answer: &[u8]) -> String {
    let line = String::from_utf8_lossy(answer).lines().next().unwrap_or_default().to_owned();
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    match body(answer)["code"].as_str() {
        Some(code) => format!("{status} {code}"),
        None => status,
    }
}
