//! PostgreSQL's own limit: pgbench runs the same statements on the same tables, with no program of ours between.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;
use url::Url;

/// Debian keeps the programs of each version in a folder that is not on the PATH.
const VERSION_FOLDER: &str = "/usr/lib/postgresql";

pub(super) struct Pgbench {
    program: PathBuf,
    database: Url,
    folder: PathBuf,
}

/// How a script is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) clients: u32,
    /// By each client.
    pub(super) transactions: u32,
}

impl Pgbench {
    pub(super) fn on(database: &Url, folder: &Path) -> anyhow::Result<Self> {
        let program =
            find().context("pgbench is not installed (Debian: postgresql-contrib or postgresql)")?;
        Ok(Self { program, database: database.clone(), folder: folder.to_owned() })
    }

    /// Runs a script with prepared statements. Returns how many scripts were run a second.
    pub(super) async fn run(&self, name: &str, script: &str, load: Load) -> anyhow::Result<f64> {
        let file = self.folder.join(format!("{name}.pgbench.sql"));
        std::fs::write(&file, script).context("cannot write a script for pgbench")?;
        let mut command = Command::new(&self.program);
        command
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--file={}", file.display()))
            .arg(format!("--client={}", load.clients))
            .arg(format!("--transactions={}", load.transactions))
            .arg(self.database.as_str())
            // As our own sessions are: a claim that is compiled takes seconds.
            .env("PGOPTIONS", "-c jit=off -c timezone=UTC")
            .stdin(Stdio::null());
        let output = command.output().await.context("cannot run pgbench")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench {name} failed: {complained}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split_whitespace().next()).context("pgbench told no rate")?;
        Ok(rate.parse()?)
    }
}

fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir(VERSION_FOLDER).into_iter().flatten().flatten();
    let folders = std::env::split_paths(&on_path).chain(versions.map(|version| version.path().join("bin")));
    folders.map(|folder| folder.join("pgbench")).find(|program| program.is_file())
}

/// The queue's own claim, with its parameters filled in: `limit` jobs of this kind.
pub(super) fn claim(kind: &str, limit: u32) -> String {
    let values = [
        ("$1::text[]", format!("array['{kind}']")),
        ("$2::integer[]", format!("array[{limit}]")),
        ("$3", "now()".to_owned()),
        ("$4", limit.to_string()),
        ("$5", "60".to_owned()),
        ("$6", "'pgbench'".to_owned()),
        ("as \"root_id!\"", "as root_id".to_owned()),
        ("as \"token!\"", "as token".to_owned()),
    ];
    let sql = include_str!("../../../queue/src/claim.sql");
    let sql: String =
        sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ");
    values.iter().fold(sql, |sql, (parameter, value)| sql.replace(parameter, value))
}
