//! Statements and files of SQL, run by `psql` so that this crate needs no database driver.

use std::path::Path;
use std::process::Command;

use super::{DatabaseUrl, installation};
use crate::process;

/// Runs one statement outside a transaction, as `create database` must.
pub(crate) fn run_statement(url: &DatabaseUrl, sql: &str) -> anyhow::Result<()> {
    process::output(psql(url)?.args(["-c", sql]))?;
    Ok(())
}

/// Runs a migration: as a whole or not at all.
pub(crate) fn run_file(url: &DatabaseUrl, file: &Path) -> anyhow::Result<()> {
    process::output(psql(url)?.arg("--single-transaction").arg("-f").arg(file))?;
    Ok(())
}

fn psql(url: &DatabaseUrl) -> anyhow::Result<Command> {
    let mut command = Command::new(installation::psql()?);
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "-d"]).arg(url.without_password());
    // On the command line every user of the machine could read it.
    if let Some(password) = url.password()? {
        command.env("PGPASSWORD", password);
    }
    Ok(command)
}
