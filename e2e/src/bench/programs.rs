//! The programs that the parts of a run measure.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use url::Url;

use crate::bank::{BILLING_SECRET, Bank, WIDGET_SECRET};
use crate::process::{Process, Program, free_addresses, wait_until_ready};
use crate::subscribers::SEALING_KEYS;

/// A sandbox that answers at once.
pub(super) async fn sandbox(folder: &Path) -> anyhow::Result<(Process, Arc<Bank>)> {
    let http = client()?;
    let address = free_addresses(1)?.pop().context("no address is free")?;
    let url = format!("http://{address}");
    let sandbox = Program::beside_this_one("toss-sandbox", "toss-sandbox", folder)?;
    let sandbox = sandbox.var("SANDBOX_ADDR", address).var("RUST_LOG", "warn").start()?;
    wait_until_ready(&http, &format!("{url}/sandbox")).await?;
    Ok((sandbox, Arc::new(Bank::at(url, http)?)))
}

/// A worker that has begun to claim jobs. It charges so many at once.
pub(super) async fn worker(
    folder: &Path,
    database: &Url,
    bank_url: &str,
    charges_at_once: u32,
) -> anyhow::Result<Process> {
    let address = free_addresses(1)?.pop().context("no address is free")?;
    let worker = Program::beside_this_one("billing-worker", "billing-worker", folder)?
        .var("DATABASE_URL", database)
        .var("WORKER_ADDR", address)
        .var("TOSS_BASE_URL", bank_url)
        .var("TOSS_SECRET_KEY", BILLING_SECRET)
        .var("TOSS_WIDGET_SECRET_KEY", WIDGET_SECRET)
        .var("TOSS_MAX_RPS", 1_000_000)
        .var("BILLING_KEY_ENCRYPTION_KEYS", SEALING_KEYS)
        .var("MAIL_URL", format!("file://{}", folder.display()))
        .var("MAIL_FROM", "billing@example.com")
        // Always due: today's run has begun whatever the time of day.
        .var("SCAN_CRON", "0 0 0 * * *")
        .var("CHARGE_CONCURRENCY", charges_at_once)
        .var("RUST_LOG", "warn")
        .start()?;
    wait_until_ready(&client()?, &format!("http://{address}/readyz")).await?;
    Ok(worker)
}

/// An API that is ready to serve, and its URL.
pub(super) async fn api(folder: &Path, database: &Url) -> anyhow::Result<(Process, String)> {
    let address = free_addresses(1)?.pop().context("no address is free")?;
    let url = format!("http://{address}");
    let api = Program::beside_this_one("billing-api", "billing-api", folder)?
        .var("DATABASE_URL", database)
        .var("API_ADDR", address)
        .var("AUTH_JWT_SECRET", testing::AUTH_JWT_SECRET)
        .var("CRON_SECRET", "the-secret-of-the-daily-call")
        .var("RUST_LOG", "warn")
        .start()?;
    wait_until_ready(&client()?, &format!("{url}/readyz")).await?;
    Ok((api, url))
}

pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
