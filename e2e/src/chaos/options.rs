//! Options of a chaos run: its size, its time, and the database server that it crashes.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, ensure};
use clap::Args;
use tokio::process::Command;

/// Kills processes and the database while customers are charged, then compares the ledgers
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Due subscriptions
    #[arg(long, default_value_t = 2_000)]
    pub subscriptions: usize,
    /// Time limit in seconds, for faults and settling together
    #[arg(long, default_value_t = 180)]
    pub seconds: u64,
    /// Worker processes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub workers: u16,
    /// Print the figures as JSON only
    #[arg(long)]
    pub json: bool,
    /// A folder for logs and e-mails
    #[arg(long)]
    pub folder: PathBuf,
    #[command(flatten)]
    pub server: ServerOptions,
}

/// The server of `DATABASE_URL`: its control program, data and log.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    #[arg(long = "pg-ctl")]
    pub control: PathBuf,
    #[arg(long = "pg-data")]
    pub data: PathBuf,
    #[arg(long = "pg-log")]
    pub log: PathBuf,
    /// uid:gid that the server runs as, where that is not this user
    #[arg(long = "pg-owner", value_parser = parse_owner)]
    pub owner: Option<(u32, u32)>,
}

fn parse_owner(text: &str) -> anyhow::Result<(u32, u32)> {
    let (uid, gid) = text.split_once(':').context("write uid:gid")?;
    Ok((uid.parse()?, gid.parse()?))
}

impl ServerOptions {
    /// Crashes the server as a power cut would, and starts it again. Returns when it accepts connections.
    pub async fn crash_and_restart(&self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.control);
        command.args(["restart", "--silent", "--wait", "--timeout=60", "--mode=immediate"]);
        command.arg("--log").arg(&self.log).arg("--pgdata").arg(&self.data);
        command.current_dir(&self.data).env_clear().env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        let status = command.status().await.context("cannot start pg_ctl")?;
        ensure!(status.success(), "PostgreSQL did not come back ({status}): see {}", self.log.display());
        Ok(())
    }
}
