//! The program that measures, and what it is told.

use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::postgres::Postgres;
use crate::project::Project;

/// Whose programs the driver starts.
pub(super) const PACKAGES: [&str; 3] = ["api", "worker", "sandbox"];

#[derive(Args)]
pub(crate) struct Options {
    /// Print the figures as JSON only
    #[arg(long)]
    pub(super) json: bool,
    /// Measure this part only: queue, scan, charges, latency, confirm, idle, sweep, growth, console; can be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// The operators' console only: how long each page takes over full tables, and the memory of a large CSV file
    #[arg(long)]
    console: bool,
    /// Rows of the largest tables
    #[arg(long, default_value_t = 1_000_000)]
    size: u32,
    /// Measure this commit too, built in a folder of its own, and compare
    #[arg(long)]
    pub(super) compare: Option<String>,
    /// How often each commit is measured, in turns; the medians are compared
    #[arg(long, default_value_t = 3, requires = "compare")]
    pub(super) runs: usize,
}

/// One run of a driver.
pub(super) fn command(
    options: &Options,
    driver: &Path,
    project: &Project,
    postgres: &Postgres,
) -> anyhow::Result<Command> {
    let mut bench = Command::new(driver);
    bench.arg("--folder").arg(project.dev()?.join("bench")).env("DATABASE_URL", postgres.url.secret());
    bench.arg("--size").arg(options.size.to_string());
    for part in options.only.iter().map(String::as_str).chain(options.console.then_some("console")) {
        bench.arg("--only").arg(part);
    }
    Ok(bench)
}
