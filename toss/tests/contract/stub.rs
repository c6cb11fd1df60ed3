//! A stand-in for Toss on a bare socket: one scripted reply per connection, everything it received kept.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use toss::{BillingKey, ChargeRequest, IdempotencyKey, Toss, TossConfig};

/// `=`, `/` and `+`: everything a path has to encode.
pub(crate) const BILLING_KEY: &str = "Z_t5vOvQxrj4499PeiJcjen28-V2/yqg+TwN44Rdzk0=";
pub(crate) const SECRET: &str = "test_sk_billing_secret";
pub(crate) const WIDGET_SECRET: &str = "test_gsk_widget_secret";

pub(crate) enum Scripted {
    /// These bytes, then the end of the connection.
    Raw(String),
    /// Nothing, for as long as the test lasts.
    Hang,
}

pub(crate) struct Received {
    /// Method and target as sent, e.g. `GET /v1/payments/x`.
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

pub(crate) struct Stub {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

pub(crate) fn answer(status: u16, body: &Value) -> Scripted {
    answer_with(status, "", &body.to_string())
}

pub(crate) fn answer_with(status: u16, headers: &str, body: &str) -> Scripted {
    Scripted::Raw(format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nX-TossPayments-Trace-Id: trace-1\r\n{headers}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

pub(crate) fn error(status: u16, code: &str) -> Scripted {
    answer(status, &json!({"code": code, "message": "사유"}))
}

pub(crate) fn payment() -> Value {
    json!({"paymentKey": "pk_1", "orderId": "order-1", "status": "DONE", "totalAmount": 9_900, "type": "BILLING"})
}

impl Stub {
    pub(crate) async fn start(script: Vec<Scripted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            let mut script = script.into_iter();
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, script.next(), Arc::clone(&log)));
            }
        });
        Self { address, received }
    }

    pub(crate) fn client(&self) -> Toss {
        Toss::new(config(&format!("http://{}", self.address))).unwrap()
    }

    pub(crate) fn impatient_client(&self) -> Toss {
        let config =
            config(&format!("http://{}", self.address)).with_connect_timeout(Duration::from_millis(100));
        Toss::with_short_answer_timeout_for_tests(config, Duration::from_millis(200)).unwrap()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

pub(crate) fn config(base_url: &str) -> TossConfig {
    TossConfig::new(base_url.parse().unwrap(), SECRET.into(), WIDGET_SECRET.into())
}

/// A client of a port where nobody listens.
pub(crate) async fn unreachable_client() -> Toss {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    Toss::new(config(&format!("http://{address}"))).unwrap()
}

pub(crate) fn billing_key() -> BillingKey {
    BillingKey::new(BILLING_KEY.into())
}

pub(crate) fn key() -> IdempotencyKey {
    IdempotencyKey::new("attempt-1").unwrap()
}

pub(crate) fn charge_request() -> ChargeRequest {
    ChargeRequest {
        customer_key: "customer-1".into(),
        amount: 9_900,
        order_id: "order-1".into(),
        order_name: "개인 - 월간".into(),
        customer_email: Some("hong@example.com".into()),
        customer_name: None,
    }
}

async fn serve(socket: TcpStream, scripted: Option<Scripted>, log: Arc<Mutex<Vec<Received>>>) {
    let mut socket = BufReader::new(socket);
    let received = read_request(&mut socket).await;
    log.lock().unwrap().push(received);
    match scripted {
        Some(Scripted::Raw(bytes)) => socket.get_mut().write_all(bytes.as_bytes()).await.unwrap(),
        Some(Scripted::Hang) => std::future::pending().await,
        None => {}
    }
}

async fn read_request(socket: &mut BufReader<TcpStream>) -> Received {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: HashMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    Received { line, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}
