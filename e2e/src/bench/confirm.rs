//! First payments confirmed over HTTP, from the request to the answer that they are paid: API, job, worker, sandbox and back.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::ensure;
use reqwest::StatusCode;
use tokio::{task::JoinSet, time::Instant};
use url::Url;

use super::figure::{Figure, Unit};
use super::latency::Samples;
use super::programs;
use crate::bank::Bank;
use crate::database::Database;
use crate::orders::Order;

const WARM_UP: u32 = 200;
const CALM_PER_SECOND: u32 = 50;
const CALM_FOR_SECS: u32 = 20;
const BUSY_PER_SECOND: u32 = 500;
const BUSY_FOR_SECS: u32 = 10;
const CHARGES_AT_ONCE: u32 = 8;
const PLACED_AT_ONCE: usize = 16;

/// What became of requests that were sent at an even rate.
#[derive(Default)]
struct Answers {
    /// From the moment at which a request was due to the end of its answer.
    waits: Samples,
    paid: u32,
    /// Recorded, and not paid when the API's wait was over.
    processing: u32,
    failed: u32,
    took: Duration,
}

pub(super) async fn measure(server: &Url, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_confirm", 4).await?;
    let (_sandbox, bank) = programs::sandbox(folder).await?;
    let worker = programs::worker(folder, &database.url, &bank.url, CHARGES_AT_ONCE).await?;
    let (api, api_url) = programs::api(folder, &database.url).await?;
    let http = programs::client()?;
    let mut figures = Vec::new();
    for (per_second, count) in [
        (CALM_PER_SECOND, WARM_UP),
        (CALM_PER_SECOND, CALM_PER_SECOND * CALM_FOR_SECS),
        (BUSY_PER_SECOND, BUSY_PER_SECOND * BUSY_FOR_SECS),
    ] {
        let orders = place(&bank, count).await?;
        let answers = confirm_at(&http, &api_url, orders, per_second).await?;
        if count > WARM_UP {
            figures.extend(answers.figures(per_second, count));
        }
    }
    drop((worker, api));
    database.remove(server).await?;
    Ok(figures)
}

impl Answers {
    fn figures(&self, per_second: u32, count: u32) -> Vec<Figure> {
        let what = |figure: &str| format!("confirmations at {per_second} /s: {figure}");
        let asked = Figure::per_second("requests sent", f64::from(per_second));
        let mut figures =
            vec![Figure::rate(&what("answered"), count - self.failed, self.took).against(&asked)];
        for percent in [50, 99] {
            let wait = self.waits.percentile_ms(percent);
            figures.push(Figure::of(&what(&format!("until answered, p{percent}")), Unit::Milliseconds, wait));
        }
        for (outcome, count) in [("not settled in 10 s", self.processing), ("errors", self.failed)] {
            figures.push(Figure::of(&what(outcome), Unit::Count, f64::from(count)));
        }
        figures
    }
}

async fn place(bank: &Arc<Bank>, count: u32) -> anyhow::Result<Vec<Order>> {
    let (mut orders, mut placing) = (Vec::new(), JoinSet::new());
    for _ in 0..count {
        if placing.len() >= PLACED_AT_ONCE
            && let Some(order) = placing.join_next().await
        {
            orders.push(order??);
        }
        let bank = bank.clone();
        placing.spawn(async move { Order::place(&bank).await });
    }
    while let Some(order) = placing.join_next().await {
        orders.push(order??);
    }
    Ok(orders)
}

/// Sends each request when it is due, whether those before are answered or not, so that a slow answer hides no waiting.
async fn confirm_at(
    http: &reqwest::Client,
    api_url: &str,
    orders: Vec<Order>,
    per_second: u32,
) -> anyhow::Result<Answers> {
    let (mut confirming, begun) = (JoinSet::new(), Instant::now());
    let mut due = begun;
    for order in orders {
        tokio::time::sleep_until(due).await;
        let request = order.confirm(http, api_url);
        confirming.spawn(async move {
            let status = async {
                let answer = request.send().await?;
                let status = answer.status();
                answer.bytes().await.map(|_| status)
            };
            (status.await, due.elapsed())
        });
        due += Duration::from_secs(1) / per_second;
    }
    let mut answers = Answers::default();
    while let Some(answered) = confirming.join_next().await {
        let (status, wait) = answered?;
        answers.waits.add(wait);
        match status {
            Ok(StatusCode::OK) => answers.paid += 1,
            Ok(StatusCode::ACCEPTED) => answers.processing += 1,
            Ok(_) | Err(_) => answers.failed += 1,
        }
    }
    answers.took = begun.elapsed();
    ensure!(answers.paid > 0, "no confirmation was paid");
    Ok(answers)
}
