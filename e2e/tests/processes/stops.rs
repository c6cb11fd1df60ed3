//! The order of a stop: readiness fails first, the listener closes after the delay, the process ends well.

use std::net::SocketAddr;

use sqlx::PgPool;
use testing::{free_address, until};
use tokio::net::TcpStream;

use crate::customer::api;
use crate::program::{Program, ready};
use crate::system::System;

async fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let answer = reqwest::get(format!("http://{address}{path}")).await.ok()?;
    Some(answer.status().as_u16())
}

async fn assert_stops_in_order(program: Program, address: SocketAddr) {
    let mut process = program.var("STOP_DELAY_SECS", 2).start();
    ready(address).await;
    process.terminate();
    until("readiness to fail", async || (status(address, "/readyz").await == Some(503)).then_some(())).await;
    assert_eq!(status(address, "/healthz").await, Some(200), "it still takes connections");
    assert!(process.end().await.success());
    assert!(TcpStream::connect(address).await.is_err());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_api_says_that_it_leaves_before_it_leaves(pool: PgPool) {
    let (system, address) = (System::on(pool, "2026-11-22").await, free_address());
    assert_stops_in_order(api(&system, address), address).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_worker_says_that_it_leaves_before_it_leaves(pool: PgPool) {
    let (system, address) = (System::on(pool, "2026-11-22").await, free_address());
    assert_stops_in_order(system.worker().var("WORKER_ADDR", address), address).await;
}
