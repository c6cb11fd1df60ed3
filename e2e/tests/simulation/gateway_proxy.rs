//! A proxy between one simulated process and the sandbox. It holds each request until the simulation releases it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sandbox::Operation;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

/// A request, parsed as far as the invariants need it.
#[derive(Debug, Clone)]
pub(crate) struct GatewayRequest {
    pub(crate) operation: Operation,
    /// The order id; for a cancel the payment key.
    pub(crate) name: String,
    pub(crate) amount: Option<i64>,
    /// The key to charge or to delete.
    pub(crate) billing_key: Option<String>,
}

/// A request that waits for the simulation. Dropping it loses the request before it reaches the sandbox.
pub(crate) struct PendingRequest {
    pub(crate) request: GatewayRequest,
    release: oneshot::Sender<()>,
    answered: oneshot::Receiver<String>,
}

impl PendingRequest {
    /// Sends the request to the sandbox. Returns a description of the answer.
    pub(crate) async fn release(self) -> String {
        self.release.send(()).ok();
        self.answered.await.unwrap_or_else(|_| "the process was gone".to_owned())
    }
}

/// The proxy of one simulated process.
#[derive(Clone)]
pub(crate) struct GatewayProxy {
    addr: SocketAddr,
    pending: Arc<Mutex<VecDeque<PendingRequest>>>,
    arrived: Arc<Notify>,
}

impl GatewayProxy {
    pub(crate) async fn start(sandbox: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let proxy = Self { addr, pending: Arc::default(), arrived: Arc::default() };
        let acceptor = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let proxy = acceptor.clone();
                tokio::spawn(async move { proxy.serve(client, sandbox).await });
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn is_holding(&self) -> bool {
        !self.pending.lock().unwrap().is_empty()
    }

    pub(crate) fn next_request(&self) -> Option<GatewayRequest> {
        self.pending.lock().unwrap().front().map(|pending| pending.request.clone())
    }

    pub(crate) fn take(&self) -> Option<PendingRequest> {
        self.pending.lock().unwrap().pop_front()
    }

    /// Returns once a request is pending.
    pub(crate) async fn request_arrived(&self) {
        while !self.is_holding() {
            self.arrived.notified().await;
        }
    }

    async fn serve(&self, mut client: TcpStream, sandbox: SocketAddr) {
        client.set_nodelay(true).ok();
        if let Some(request) = read_message(&mut client).await {
            let (release, released) = oneshot::channel();
            let (answered_sender, answered) = oneshot::channel();
            self.pending.lock().unwrap().push_back(PendingRequest {
                request: parse(&request),
                release,
                answered,
            });
            self.arrived.notify_one();
            if released.await.is_err() {
                return;
            }
            let Some(answer) = exchange(sandbox, &request).await else {
                drop(client);
                answered_sender.send("the connection was cut".to_owned()).ok();
                return;
            };
            // One connection per call: whether reqwest reuses one depends on timing, and a seed must replay.
            client.write_all(&closing(&answer)).await.ok();
            answered_sender.send(describe_answer(&answer)).ok();
        }
    }
}

async fn exchange(sandbox: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(sandbox).await.ok()?;
    stream.set_nodelay(true).ok();
    stream.write_all(request).await.ok()?;
    read_message(&mut stream).await
}

/// Adds `connection: close` to the answer.
fn closing(answer: &[u8]) -> Vec<u8> {
    let end = find(answer, b"\r\n").unwrap_or_default();
    [&answer[..end], b"\r\nconnection: close", &answer[end..]].concat()
}

/// Reads one HTTP/1.1 message with a content length. Returns `None` when the connection ends first.
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

fn parse(request: &[u8]) -> GatewayRequest {
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
        other => panic!("unexpected request to the gateway: {other:?}"),
    };
    GatewayRequest { operation, name, amount: body["amount"].as_i64(), billing_key }
}

/// Status and error code, for the trace.
fn describe_answer(answer: &[u8]) -> String {
    let line = String::from_utf8_lossy(answer).lines().next().unwrap_or_default().to_owned();
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    match body(answer)["code"].as_str() {
        Some(code) => format!("{status} {code}"),
        None => status,
    }
}
