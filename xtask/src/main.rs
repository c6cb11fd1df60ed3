//! The project's own commands: `cargo xtask up`, `test`, `bench`, `chaos` and `prepare`.

mod bench;
mod chaos;
mod checks;
mod debian;
mod postgres;
mod process;
mod project;
mod secrets;
mod stop;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::project::Project;
use crate::stop::Stop;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Runs and checks the whole project on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start PostgreSQL, the sandbox, the API and the worker; Ctrl-C stops them all
    Up,
    /// Run every check that CI runs
    Test,
    /// Run the checks that start nothing: format, lints, boundaries, query metadata, documentation
    Check,
    /// Measure what the system does per second, beside what PostgreSQL itself does
    Bench(bench::Options),
    /// Kill everything while the bank lies, then compare the books
    Chaos(chaos::Options),
    /// Write the metadata of the SQL queries (.sqlx) anew
    Prepare,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let project = Project::open()?;
    match command {
        Command::Up => up::up(&project, &stop),
        Command::Test => checks::test(&project, &stop),
        Command::Check => checks::check(&project, &stop),
        Command::Bench(options) => bench::bench(options, &project, &stop),
        Command::Chaos(options) => chaos::chaos(options, &project, &stop),
        Command::Prepare => checks::prepare(&project, &stop),
    }
}
