//! What a run of chaos is told: how large, how long, and how to hurt the database server.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

/// Never twice, never lost, with everything dying at once.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Due subscriptions
    #[arg(long, default_value_t = 2_000)]
    pub subscriptions: usize,
    /// When to give up waiting for quiet, in seconds
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

/// Where the server that `DATABASE_URL` names has its control program, its data and its log.
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
