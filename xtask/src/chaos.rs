//! `cargo xtask chaos`: real processes under a lying bank are killed again and again, then the books are compared; or, with
//! `--seeds` or `--seed`, the same in one process, step by step, so that what went wrong can be seen again.

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
    /// Instead of real processes, so many seeds of the simulation
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed of the simulation; without --seeds only this one, and it tells its story
    #[arg(long)]
    seed: Option<u64>,
    /// SQL that takes a fence down before the seeds are lived, to see what it holds off
    #[arg(long, requires = "seeds")]
    without: Option<String>,
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

fn simulate(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let server = Postgres::open(project, Purpose::Tests)?;
    let mut test = project.cargo();
    test.args(["test", "--package", "e2e", "--test", "simulation", "--", "--nocapture", "whatever"]);
    test.env("DATABASE_URL", server.url.secret());
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let told = [
        ("SEEDS", number(options.seeds)),
        ("SEED", number(options.seed)),
        ("WITHOUT", options.without.clone()),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            test.env(name, value);
        }
    }
    process::run(&mut test, stop)
}
