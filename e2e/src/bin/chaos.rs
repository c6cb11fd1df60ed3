//! `chaos`: run by `cargo xtask chaos`, which starts a PostgreSQL to crash. Exits with 1 when a charge was doubled or lost.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use e2e::chaos::{self, Options};

#[derive(Parser)]
#[command(name = "chaos")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Cli { options } = Cli::parse();
    let server = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?.parse()?;
    let figures = chaos::run(&options, &server).await?;
    if !options.json {
        println!("{}", figures.as_table());
    }
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(if figures.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
