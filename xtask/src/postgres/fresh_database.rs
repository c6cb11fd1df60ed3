//! A database with nothing but the migrations in it, dropped after use. `psql` makes it, so that this crate needs no
//! database driver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::installation;
use super::url::DatabaseUrl;
use crate::process;
use crate::project::Project;

pub(crate) struct FreshDatabase {
    server: DatabaseUrl,
    name: String,
}

impl FreshDatabase {
    /// The migrations are run by `psql`: the command that runs them elsewhere does not compile while the
    /// queries' metadata is out of date.
    pub(crate) fn migrated(project: &Project, server: &DatabaseUrl) -> anyhow::Result<Self> {
        let name = format!("billing_queries_{}", std::process::id());
        run_statement(server, &format!("create database {name}"))
            .context("the user of DATABASE_URL must be allowed to create databases")?;
        let database = Self { server: server.clone(), name };
        for file in migrations(project)? {
            run_file(&database.url(), &file).with_context(|| format!("cannot run {}", file.display()))?;
        }
        Ok(database)
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.server.with_database(&self.name)
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        if let Err(error) = run_statement(&self.server, &format!("drop database {} with (force)", self.name))
        {
            eprintln!("the database {} is left behind: {error:#}", self.name);
        }
    }
}

/// In the order of their numbers, which their names begin with.
fn migrations(project: &Project) -> anyhow::Result<Vec<PathBuf>> {
    let folder = project.root.join("migrations");
    let mut files =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|kind| kind == "sql"));
    files.sort();
    Ok(files)
}

/// Runs one statement outside a transaction, as `create database` must.
fn run_statement(url: &DatabaseUrl, sql: &str) -> anyhow::Result<()> {
    process::output(psql(url)?.args(["-c", sql]))?;
    Ok(())
}

/// Runs a migration: as a whole or not at all.
fn run_file(url: &DatabaseUrl, file: &Path) -> anyhow::Result<()> {
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
