//! `billing`, the operators' command line.

mod cli;
mod run;

use std::{io::Write, process::ExitCode};

use clap::Parser;
use ops::{OpsError, actor::actor, settings::Settings};

use crate::{cli::Cli, run::Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) if !shown.use_stderr() || !asks_for_json() => shown.exit(),
        Err(wrong) => {
            let words = wrong.to_string();
            return fail(true, "usage", words.trim_start_matches("error: "), 2);
        }
    };
    let Cli { json, actor: named, command } = cli;
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let settings = match Settings::read(env.collect()) {
        Ok(settings) => settings,
        Err(mistakes) => return fail(json, "configuration", &mistakes.to_string(), 2),
    };
    let actor = actor(named.as_deref(), |name| std::env::var(name).ok());
    match (Session { settings, actor, json }).run(command).await {
        Ok(text) => print(json, &text),
        Err(error @ OpsError::Rows(_)) => {
            print(json, &error.to_string());
            let told = "rows are wrong, and nothing was written: the report says which";
            fail(json, error.code(), told, error.exit_code())
        }
        Err(error) => fail(json, error.code(), &error.line(), error.exit_code()),
    }
}

/// Known before the words are: wrong words have to be answered, too.
fn asks_for_json() -> bool {
    std::env::args_os().any(|word| word == "--json")
}

/// A reader that has seen enough (`billing jobs list | head`) is no failure.
fn print(json: bool, text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(json, "failed", &format!("the answer could not be printed: {error}"), 1),
    }
}

/// For people one line, for programs one object; always on standard error.
fn fail(json: bool, code: &str, words: &str, exit: u8) -> ExitCode {
    let words = words.trim_end();
    if json {
        eprintln!("{}", serde_json::json!({ "error": { "code": code, "message": words } }));
    } else {
        eprintln!("billing: {words}");
    }
    ExitCode::from(exit)
}
