//! Clients that never finish, hundreds of them, before a process with few file descriptors: others are served.

use std::{net::SocketAddr, time::Duration};

use sqlx::PgPool;
use testing::free_address;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{customer::api, program::ready, system::System};

const DESCRIPTORS: u32 = 256;
const CLIENTS: usize = 300;

const HALF_A_HEAD: &str = "GET /readyz HTTP/1.1\r\nhost: x\r\nx-more: ";
const HALF_A_BODY: &str = "POST /api/webhooks/toss HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{";
const KEPT_OPEN: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Connects hundreds of times, sends these words each time, and reads nothing.
async fn hold(address: SocketAddr, words: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A connection that made room for a later one is closed already.
        drop(stream.write_all(words.as_bytes()).await);
        held.push(stream);
    }
    held
}

async fn assert_serves(address: SocketAddr, path: &str, meanwhile: &str) {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(8)).build().unwrap();
    for _ in 0..3 {
        let answer = http.get(format!("http://{address}{path}")).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{path} beside {meanwhile:?}: {error}"));
        assert_eq!(answer.status(), 200, "{path} beside {meanwhile:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn clients_that_never_finish_stop_nobody_at_the_api(pool: PgPool) {
    let (system, address) = (System::on(pool, "2026-11-22").await, free_address());
    let _api = api(&system, address).descriptors(DESCRIPTORS).start();
    ready(address).await;
    // Answers that nobody reads: several megabytes, more than the buffers of a socket take.
    let unread = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(8);
    for words in [HALF_A_HEAD, HALF_A_BODY, KEPT_OPEN, &unread] {
        let _held = hold(address, words).await;
        assert_serves(address, "/readyz", words.get(..40).unwrap_or(words)).await;
        assert_serves(address, "/api/plans", words.get(..40).unwrap_or(words)).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn clients_that_never_finish_stop_nobody_at_the_worker(pool: PgPool) {
    let (system, address) = (System::on(pool, "2026-11-22").await, free_address());
    let worker = system.worker().var("WORKER_ADDR", address).descriptors(DESCRIPTORS);
    let _worker = worker.start();
    ready(address).await;
    for words in [HALF_A_HEAD, KEPT_OPEN] {
        let _held = hold(address, words).await;
        assert_serves(address, "/readyz", words).await;
    }
    let id = system.order("ORDER_1").await;
    system.quiet().await;
    assert_eq!(system.books(id).await, crate::books::Books::paid(1), "its work goes on");
}
