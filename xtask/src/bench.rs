//! `cargo xtask bench`: figures of the release build, beside those of PostgreSQL itself on the same machine. With `--compare` also
//! beside those of another commit, in turns.

mod compare;

use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::postgres::{Postgres, Purpose};
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

/// Whose programs the driver starts.
const PACKAGES: [&str; 3] = ["api", "worker", "sandbox"];

#[derive(Args)]
pub(crate) struct Options {
    /// Print the figures as JSON only
    #[arg(long)]
    json: bool,
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
    compare: Option<String>,
    /// How often each commit is measured, in turns; the medians are compared
    #[arg(long, default_value_t = 3, requires = "compare")]
    runs: usize,
}

pub(crate) fn bench(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("bench")?;
    let postgres = Postgres::open(project, Purpose::Bench)?;
    if let Some(commit) = &options.compare {
        return compare::compare(options, commit, project, &postgres, stop);
    }
    let driver = project.build_driver("bench", &PACKAGES, stop)?;
    let mut bench = command(options, &driver, project, &postgres)?;
    if options.json {
        bench.arg("--json");
    }
    process::run(&mut bench, stop)
}

/// One run of a driver.
fn command(
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
