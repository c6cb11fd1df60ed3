//! `cargo xtask chaos`: everything is killed, with real processes or, with `--seeds`, in the deterministic simulation.

use std::process::Command;

use clap::Args;

use crate::driver;
use crate::postgres::{Cluster, Postgres, Purpose};
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

#[derive(Args)]
pub(crate) struct Options {
    /// Due subscriptions
    #[arg(long, default_value_t = 2_000)]
    subscriptions: u32,
    /// When to give up waiting for quiet, in seconds
    #[arg(long, default_value_t = 180)]
    seconds: u32,
    /// Worker processes
    #[arg(long, default_value_t = 3)]
    workers: u16,
    /// Print the figures as JSON only
    #[arg(long)]
    json: bool,
    /// Run this many seeds of the deterministic simulation instead
    #[arg(long, conflicts_with_all = ["subscriptions", "seconds", "workers", "json"])]
    seeds: Option<u32>,
    /// Run this one seed of the simulation again
    #[arg(long, conflicts_with_all = ["subscriptions", "seconds", "workers", "json"])]
    seed: Option<u64>,
}

pub(crate) fn chaos(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    if options.seeds.is_some() || options.seed.is_some() {
        return simulate(options, project, stop);
    }
    let _only_one = project.lock("chaos")?;
    // Not the one of DATABASE_URL: this one is crashed again and again.
    let cluster = Cluster::start(project, Purpose::Chaos)?;
    eprintln!(
        "PostgreSQL {}: {} ({})",
        cluster.version(),
        cluster.url()?.without_password(),
        cluster.place()
    );
    // Unoptimised, a process would spend its short life on the password hashes of its connections.
    let driver = driver::build("chaos", &["api", "worker", "sandbox"], project, stop)?;
    let mut chaos = Command::new(driver);
    chaos.env("DATABASE_URL", cluster.url()?.secret()).args(cluster.control());
    chaos.arg("--folder").arg(project.dev()?.join("chaos"));
    for (name, value) in [
        ("--subscriptions", options.subscriptions.to_string()),
        ("--seconds", options.seconds.to_string()),
        ("--workers", options.workers.to_string()),
    ] {
        chaos.arg(name).arg(value);
    }
    if options.json {
        chaos.arg("--json");
    }
    process::run(&mut chaos, stop)
}

/// The same test as in `cargo xtask test`, with other seeds; a failing one is printed and replays exactly.
fn simulate(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("test")?;
    let postgres = Postgres::open(project, Purpose::Tests)?;
    let mut test = project.cargo();
    test.args(["test", "--quiet", "-p", "e2e", "--test", "simulation", "--", "--nocapture"]);
    test.env("DATABASE_URL", postgres.url.secret());
    if let Some(seeds) = options.seeds {
        test.env("SEEDS", seeds.to_string());
    }
    if let Some(seed) = options.seed {
        test.env("SEED", seed.to_string());
    }
    process::run(&mut test, stop)
}
