//! `billing config check`: every mistake in the variables of the API and the worker, without a database.
//!
//! Each program checks its own variables (`--check-config`), so this command can know nothing else than they do.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use tokio::process::Command as Process;

use crate::{OpsError, session::Session, text::plain};

/// The programs that read variables, as they lie beside this one.
const PROGRAMS: [&str; 2] = ["billing-api", "billing-worker"];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List every mistake in the variables of the API and the worker; needs no database
    #[command(after_help = "Example:\n  billing config check")]
    Check,
}

/// One mistake and the programs that it stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mistake {
    pub programs: Vec<&'static str>,
    /// Begins with the name of the variable.
    pub message: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReport {
    pub mistakes: Vec<Mistake>,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let Self::Check = self;
        let report = check(session).await?;
        let printed = session.print(&report)?;
        if report.mistakes.is_empty() {
            return Ok(printed);
        }
        let message = format!("{} mistakes in the configuration", report.mistakes.len());
        Err(OpsError::Reported { code: "configuration", report: printed, message })
    }
}

/// Has each program check the environment of this one.
pub(crate) async fn check(session: &Session) -> Result<ConfigReport, OpsError> {
    let this = std::env::current_exe().map_err(|error| OpsError::Refused(error.to_string()))?;
    let folder = this.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut mistakes: Vec<Mistake> = Vec::new();
    for program in PROGRAMS {
        for message in mistakes_of(&folder, program, session).await? {
            match mistakes.iter_mut().find(|mistake| mistake.message == message) {
                Some(known) => known.programs.push(program),
                None => mistakes.push(Mistake { programs: vec![program], message }),
            }
        }
    }
    Ok(ConfigReport { mistakes })
}

async fn mistakes_of(folder: &Path, program: &str, session: &Session) -> Result<Vec<String>, OpsError> {
    let path: PathBuf = folder.join(program);
    let mut command = Process::new(&path);
    command.arg("--check-config").env_clear().envs(session.environment().iter().cloned());
    let output = command.output().await;
    let output =
        output.map_err(|error| OpsError::Refused(format!("{} cannot be run: {error}", path.display())))?;
    match output.status.code() {
        Some(0) => Ok(Vec::new()),
        Some(2) => Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()),
        _ => Err(OpsError::Refused(format!("{program} --check-config ended with {}", output.status))),
    }
}

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mistakes.is_empty() {
            return writeln!(f, "the variables of {} are right", PROGRAMS.join(" and "));
        }
        self.mistakes.iter().try_for_each(|mistake| {
            writeln!(f, "{} ({})", plain(&mistake.message), mistake.programs.join(", "))
        })
    }
}
