//! `cargo xtask bench`: figures of the release build, beside those of PostgreSQL itself on the same machine.

use std::process::Command;

use clap::Args;

use crate::postgres::{Postgres, Purpose};
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

#[derive(Args)]
pub(crate) struct Options {
    /// Print the figures as JSON only
    #[arg(long)]
    json: bool,
    /// Measure this part only: queue, scan, charges, latency, idle, growth; can be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// Rows of the largest tables
    #[arg(long, default_value_t = 1_000_000)]
    size: u32,
}

pub(crate) fn bench(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("bench")?;
    let postgres = Postgres::open(project, Purpose::Bench)?;
    let mut bench = Command::new(project.build_driver("bench", &["worker", "sandbox"], stop)?);
    bench.arg("--folder").arg(project.dev()?.join("bench")).env("DATABASE_URL", postgres.url.secret());
    bench.arg("--size").arg(options.size.to_string());
    for part in &options.only {
        bench.arg("--only").arg(part);
    }
    if options.json {
        bench.arg("--json");
    }
    process::run(&mut bench, stop)
}
