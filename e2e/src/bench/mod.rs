//! What the system does per second, beside what PostgreSQL itself does on the same machine in the same run.
//!
//! The machine is shared with others, so nothing here is judged: figures are printed, and the ratios are what counts.

mod charges;
pub mod figure;
mod jobs;
mod latency;
mod postgres;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use url::Url;

use crate::database::Database;
use charges::Charged;
use figure::Figure;
use postgres::Limits;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Print the figures as JSON only
    #[arg(long)]
    pub json: bool,
    /// A folder for logs and e-mails
    #[arg(long)]
    pub folder: PathBuf,
}

/// One whole run on databases of its own, dropped at the end.
pub async fn run(options: &Options, server: &Url) -> anyhow::Result<Vec<Figure>> {
    if options.folder.exists() {
        std::fs::remove_dir_all(&options.folder)?;
    }
    std::fs::create_dir_all(&options.folder).context("cannot create the folder")?;
    let database = Database::recreate(server, "bench", 12).await?;
    eprintln!("Measuring PostgreSQL itself");
    let limits = Limits::measure(&database.pool).await?;
    let mut figures = limits.figures();
    eprintln!("Measuring the queue");
    figures.extend(jobs::measure(&database.pool, &limits).await?);
    eprintln!("Measuring the daily scan");
    figures.push(charges::fan_out(&database.pool, &options.folder, &limits).await?);
    database.remove(server).await?;
    eprintln!("Measuring charges");
    figures.push(charges::end_to_end(server, &options.folder, 8, &limits).await?.rate);
    let Charged { rate, stored } = charges::end_to_end(server, &options.folder, 32, &limits).await?;
    figures.push(rate);
    figures.extend(stored);
    Ok(figures)
}
