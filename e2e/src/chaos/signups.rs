//! Customers who subscribe during the faults: each repeats its confirm request until the API answers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::environment::Environment;
use super::faults::{FaultRun, Tally};
use crate::orders::Order;

const SIGN_UP_EVERY: Duration = Duration::from_millis(700);
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Signs up one customer after another until the faults end, then waits until each has an answer.
pub(super) async fn keep_signing_up(
    environment: Arc<Environment>,
    fault_run: Arc<FaultRun>,
) -> anyhow::Result<()> {
    let mut waiting = JoinSet::new();
    while !fault_run.is_over() {
        let (environment, fault_run) = (environment.clone(), fault_run.clone());
        waiting.spawn(async move { sign_up(&environment, &fault_run.tally).await });
        tokio::time::sleep(SIGN_UP_EVERY).await;
    }
    while let Some(signup) = waiting.join_next().await {
        signup??;
    }
    Ok(())
}

/// Returns when the API has recorded the order or has refused it.
async fn sign_up(environment: &Environment, tally: &Tally) -> anyhow::Result<()> {
    let order = Order::place(&environment.bank).await?;
    loop {
        let answer = order.confirm(&environment.http, &environment.api_url).send().await;
        match answer.map(|answer| answer.status()) {
            Ok(StatusCode::OK | StatusCode::ACCEPTED | StatusCode::PAYMENT_REQUIRED) => {
                tally.signed_up.fetch_add(1, Relaxed);
                return Ok(());
            }
            Ok(other) if other.is_client_error() && other != StatusCode::TOO_MANY_REQUESTS => {
                anyhow::bail!("a confirmation was answered {other}")
            }
            Ok(_) | Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}
