//! `bench`: run by `cargo xtask bench` against the PostgreSQL of `DATABASE_URL`.

use anyhow::Context;
use clap::Parser;
use e2e::bench::{self, Options, figure};

#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { options } = Cli::parse();
    let server = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?.parse()?;
    let figures = bench::run(&options, &server).await?;
    if !options.json {
        println!("{}", figure::as_table(&figures));
    }
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(())
}
