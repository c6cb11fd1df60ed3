//! `billing`, the operators' command line.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use ops::{Cli, OpsError, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { json, actor, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(wrong) => {
            let message = wrong.to_string();
            return fail(asks_for_json(), "usage", message.trim_start_matches("error: "), 2);
        }
    };
    let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let session = Session::new(vars.collect(), actor.as_deref(), json);
    let done = command.run(&session).await;
    let exit = done.as_ref().err().map_or(0, OpsError::exit_code);
    match done {
        Ok(text) => print(json, &text),
        Err(OpsError::Reported { code, report, message }) => {
            print(json, &report);
            fail(json, code, &message, exit)
        }
        Err(error) => fail(json, error.code(), &error.line(), error.exit_code()),
    }
}

/// Looks at the raw words: wrong words must be answered in JSON, too.
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

/// Writes one line for people or one object for programs to standard error.
fn fail(json: bool, code: &str, message: &str, exit: u8) -> ExitCode {
    let message = message.trim_end();
    let line = if json {
        serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
    } else {
        format!("billing: {}", ops::visible_lines(message))
    };
    // Standard error may be closed or full; the exit code still says that the command failed.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
    ExitCode::from(exit)
}
