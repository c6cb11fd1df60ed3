//! Over a real socket: what never becomes a request is refused in the form of every other problem.

use api::serve;
use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Api;

/// Status and body of the answer to these bytes.
async fn answer_to(address: std::net::SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    // The server may answer and close before it has read everything.
    let (_, read) = tokio::join!(writing.write_all(bytes), reading.read_to_end(&mut answer));
    drop(read);
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or(answer))
}

#[sqlx::test(migrations = "../migrations")]
async fn a_head_that_cannot_be_read_is_refused_with_a_problem(pool: PgPool) {
    let api = Api::new(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(api.app(), listener, async move { drop(stopped.await) }));
    let plain = "GET /api/plans HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned();
    let (status, body) = answer_to(address, plain.as_bytes()).await;
    assert_eq!(status, 200, "{body}");

    let long = "a".repeat(70_000);
    let many = "x-a: 1\r\n".repeat(200);
    for (head, status, code) in [
        (format!("GET /api/plans HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n"), 431, "headers_too_large"),
        (format!("GET /api/plans HTTP/1.1\r\nhost: x\r\n{many}\r\n"), 431, "headers_too_large"),
        ("GET /api/plans HTTP/1.1\r\nhost x\r\n\r\n".to_owned(), 400, "malformed"),
        ("G\u{1}T /api/plans HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET /api/plans HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(), 400, "malformed"),
    ] {
        let (answered, body) = answer_to(address, head.as_bytes()).await;
        let start = head.get(..40).unwrap_or(&head);
        assert_eq!(answered, status, "{start}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{start}: {body:?}"));
        assert_eq!((&problem["code"], &problem["success"]), (&code.into(), &false.into()), "{start}");
        assert_eq!(problem["traceId"].as_str().unwrap().len(), 32);
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn callers_make_no_labels_of_their_own(pool: PgPool) {
    let api = Api::new(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _serving = tokio::spawn(serve(api.app(), listener, std::future::pending()));
    for n in 0..20 {
        let request =
            format!("MADEUP{n} /api/madeup/{n} HTTP/1.1\r\nhost: madeup{n}\r\nconnection: close\r\n\r\n");
        assert_eq!(answer_to(address, request.as_bytes()).await.0, 404);
    }
    let scrape = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (_, metrics) = answer_to(address, scrape.as_bytes()).await;
    let mut lines = metrics.lines().filter(|line| line.contains("method=\"other\""));
    assert!(lines.any(|line| line.contains("route=\"unmatched\"")), "{metrics}");
    assert!(!metrics.to_lowercase().contains("madeup"), "{metrics}");
}
