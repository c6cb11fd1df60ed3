//! What a worker costs that has nothing to do.

use std::{path::Path, time::Duration};

use anyhow::Context;
use url::Url;

use super::figure::{Figure, Unit};
use super::programs;
use crate::counting_proxy::CountingProxy;
use crate::database::Database;

/// So long that the start is over: the first sweep and the daily run.
const SETTLES_IN: Duration = Duration::from_secs(10);
const MEASURED_FOR: Duration = Duration::from_secs(30);
/// `_SC_CLK_TCK`, on every Linux that we know.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) async fn measure(server: &Url, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_idle", 4).await?;
    let proxy = CountingProxy::before(&database.url).await?;
    // Nobody is asked: there is nothing to charge.
    let worker = programs::worker(folder, &proxy.over(&database.url)?, "http://127.0.0.1:9", 8).await?;
    tokio::time::sleep(SETTLES_IN).await;
    let id = worker.id().context("the worker has ended")?;
    let (asked, ticks) = (proxy.passed().round_trips, cpu_ticks(id)?);
    tokio::time::sleep(MEASURED_FOR).await;
    let seconds = MEASURED_FOR.as_secs_f64();
    let asked = f64::from(u32::try_from(proxy.passed().round_trips - asked)?) / seconds;
    let cpu = f64::from(u32::try_from(cpu_ticks(id)? - ticks)?) / TICKS_PER_SECOND / seconds * 100.0;
    let memory = resident_megabytes(id)?;
    drop(worker);
    database.remove(server).await?;
    Ok(vec![
        Figure::per_second("idle worker: round trips", asked),
        Figure::of("idle worker: CPU", Unit::Percent, cpu),
        Figure::of("idle worker: resident memory", Unit::Megabytes, memory),
    ])
}

/// Time in user and system mode: the 14th and 15th field, counted after the name in brackets.
fn cpu_ticks(id: u32) -> anyhow::Result<u64> {
    let stat =
        std::fs::read_to_string(format!("/proc/{id}/stat")).context("figures of a process need Linux")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Ok(field(11).saturating_add(field(12)))
}

pub(super) fn resident_megabytes(id: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.split_whitespace().next().context("no VmRSS")?.parse()?;
    Ok(kilobytes / 1_024.0)
}
