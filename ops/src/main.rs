//! `billing`, the operators' command line.

mod cli;
mod run;

use std::{io::Write, process::ExitCode};

use clap::Parser;
use ops::{OpsError, actor::actor, settings::Settings};

use crate::{cli::Cli, run::Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { json, actor: named, command } = Cli::parse();
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let settings = match Settings::read(env.collect()) {
        Ok(settings) => settings,
        Err(mistakes) => return fail(&mistakes.to_string(), 2),
    };
    let actor = actor(named.as_deref(), |name| std::env::var(name).ok());
    match (Session { settings, actor, json }).run(command).await {
        Ok(text) => print(&text),
        Err(OpsError::Rows(report)) => {
            print(&report);
            ExitCode::FAILURE
        }
        Err(error) => fail(&OpsError::line(&error), error.exit_code()),
    }
}

/// A reader that has seen enough (`billing jobs list | head`) is no failure.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&format!("the answer could not be printed: {error}"), 1),
    }
}

fn fail(line: &str, code: u8) -> ExitCode {
    eprintln!("billing: {}", line.trim_end());
    ExitCode::from(code)
}
