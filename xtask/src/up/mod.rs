//! `cargo xtask up`: the whole system on this machine, until Ctrl-C.

mod accounts;
mod ports;
mod probe;
mod screen;
mod services;
mod settings;

use crate::postgres::{Postgres, Purpose};
use crate::project::Project;
use crate::stop::Stop;
use crate::{process, secrets};
use services::Services;
use settings::Settings;

pub(crate) fn up(project: &Project, stop: &Stop) -> anyhow::Result<()> {
    let _only_one = project.lock("up")?;
    services::stop_leftovers(project)?;
    // First, because a machine without PostgreSQL should hear of it before minutes of compiling.
    let postgres = Postgres::open(project, Purpose::Development)?;
    println!("Building billing-api, billing-worker, toss-sandbox and billing");
    let mut build = project.cargo();
    build.args(["build", "--quiet", "-p", "api", "-p", "worker", "-p", "sandbox", "-p", "ops"]);
    process::run(&mut build, stop)?;

    let settings = Settings::gather(project, &postgres.url)?;
    process::run(settings.billing(project)?.arg("migrate"), stop)?;
    let operator = accounts::ensure_operator(project, &settings, &postgres.url)?;
    let customer_token =
        accounts::customer_token(settings.get("AUTH_JWT_SECRET")?, settings.find("AUTH_JWT_AUDIENCE"))?;
    secrets::write(&project.dev()?.join("env"), &settings.as_shell(&customer_token)?)?;

    let mut services = Services::default();
    services.start(project, &settings)?;
    services::remember(project, &services.pids())?;
    services.wait_until_ready(stop)?;
    print!("{}", screen::compose(project, &settings, &postgres.url, &operator, &customer_token)?);
    let outcome = services.watch(stop);
    println!("\nStopping");
    services.end(stop);
    drop(postgres);
    println!("Stopped");
    outcome
}
