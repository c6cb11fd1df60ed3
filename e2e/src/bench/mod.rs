//! What the system does per second, beside what PostgreSQL itself does with the same statements in the same run.
//!
//! The machine is shared with others, so nothing here is judged: figures are printed, and the ratios are what counts.

mod charges;
mod confirm;
mod console;
pub mod figure;
mod growth;
mod idle;
mod jobs;
mod latency;
mod pgbench;
mod plot;
mod programs;
mod scan;
mod sweep;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use url::Url;

use figure::Figure;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Print the figures as JSON only
    #[arg(long)]
    pub json: bool,
    /// Measure this part only; can be given more than once
    #[arg(long, value_enum)]
    pub only: Vec<Part>,
    /// Subscriptions in the scan's table, of which a tenth is due, ten times the open invoices of the sweep, and the largest size
    /// in the curve of growth
    #[arg(long, default_value_t = 1_000_000)]
    pub size: u32,
    /// A folder for logs, e-mails and the curve
    #[arg(long)]
    pub folder: PathBuf,
}

/// One part of the run, on a database of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Enqueueing and running jobs.
    Queue,
    /// The daily run.
    Scan,
    /// Renewals from the due date to the sent e-mail, and what one asks of the database.
    Charges,
    /// Renewals with a gateway that takes its time.
    Latency,
    /// First payments over HTTP.
    Confirm,
    /// What a worker without work costs.
    Idle,
    /// Looking for lost jobs, and counting the queue, on a large day.
    Sweep,
    /// What a claim, a charge's facts and a sweep cost as the tables grow.
    Growth,
    /// The operators' console over full tables.
    Console,
}

/// Runs the chosen parts, all where none is chosen. Each database is dropped at the end.
pub async fn run(options: &Options, server: &Url) -> anyhow::Result<Vec<Figure>> {
    if options.folder.exists() {
        std::fs::remove_dir_all(&options.folder)?;
    }
    std::fs::create_dir_all(&options.folder).context("cannot create the folder")?;
    let mut figures = Vec::new();
    for part in Part::value_variants() {
        if !options.only.is_empty() && !options.only.contains(part) {
            continue;
        }
        eprintln!("Measuring: {part:?}");
        figures.extend(match part {
            Part::Queue => jobs::measure(server, &options.folder).await?,
            Part::Scan => scan::measure(server, &options.folder, options.size).await?,
            Part::Charges => charges::measure(server, &options.folder).await?,
            Part::Latency => charges::with_latency(server, &options.folder).await?,
            Part::Confirm => confirm::measure(server, &options.folder).await?,
            Part::Idle => idle::measure(server, &options.folder).await?,
            Part::Sweep => sweep::measure(server, options.size).await?,
            Part::Console => console::measure(server, &options.folder, options.size).await?,
            Part::Growth => growth::measure(server, &options.folder, options.size).await?,
        });
    }
    Ok(figures)
}
