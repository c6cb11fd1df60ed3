//! `cargo xtask chaos`: kills real processes while a faulty gateway charges, then compares the ledgers. With `--seeds` or
//! `--seed` it runs the seeded simulation instead, which replays a failure step by step.

use std::process::Command;

use clap::Args;

use crate::postgres::{Cluster, Postgres, Purpose};
use crate::process;
use crate::project::Project;
use crate::stop::Stop;

#[derive(Args)]
pub(crate) struct Options {
    /// Due subscriptions
    #[arg(long, default_value_t = 2_000)]
    subscriptions: u32,
    /// Time limit in seconds, for faults and settling together
    #[arg(long, default_value_t = 180)]
    seconds: u32,
    /// Worker processes
    #[arg(long, default_value_t = 3)]
    workers: u16,
    /// Print the figures as JSON only
    #[arg(long)]
    json: bool,
    /// Run this many seeds of the simulation instead of real processes
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed of the simulation; without --seeds only this one, with its trace
    #[arg(long)]
    seed: Option<u64>,
    /// SQL that drops a fence before the seeds run, to see what it holds off
    #[arg(long, requires = "seeds")]
    without: Option<String>,
}

pub(crate) fn chaos(options: &Options, project: &Project, stop: &Stop) -> anyhow::Result<()> {
    if options.seeds.is_some() || options.seed.is_some() {
        return simulate(options, project, stop);
    }
    let _only_one = project.lock("chaos")?;
    // A cluster of its own, not the one of DATABASE_URL: chaos crashes it.
    let cluster = Cluster::start(project, Purpose::Chaos)?;
    eprintln!(
        "PostgreSQL {}: {} ({})",
        cluster.version(),
        cluster.url()?.without_password(),
        cluster.place()
    );
    // Unoptimised processes would spend their short time on the password hashes of their connections.
    let driver = project.build_driver("chaos", &["api", "worker", "sandbox"], stop)?;
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
    test.args(["test", "--package", "e2e", "--test", "simulation", "--", "--nocapture", "every_seed"]);
    test.env("DATABASE_URL", server.url.secret());
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let variables = [
        ("SEEDS", number(options.seeds)),
        ("SEED", number(options.seed)),
        ("WITHOUT", options.without.clone()),
    ];
    for (name, value) in variables {
        if let Some(value) = value {
            test.env(name, value);
        }
    }
    process::run(&mut test, stop)
}
