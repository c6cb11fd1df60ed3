//! A database with nothing but the migrations in it, dropped after use.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::postgres::{DatabaseUrl, run_file, run_statement};
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
