//! `billing-api`: reads its configuration, serves until SIGTERM or Ctrl-C, and ends in good order.

use std::process::ExitCode;

use api::{Config, VARIABLES};
use clap::Parser;

/// Records payments, cancels and scans that are asked for over HTTP, and enqueues their jobs. It never calls Toss.
#[derive(Parser)]
#[command(name = "billing-api", after_help = VARIABLES)]
struct Cli {
    /// List every mistake in the variables, and exit: 0 when there is none, else 2
    #[arg(long)]
    check_config: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { check_config } = Cli::parse();
    let config = match Config::from_env() {
        Ok(_) if check_config => return ExitCode::SUCCESS,
        Ok(config) => config,
        Err(mistakes) if check_config => return mistakes.list(),
        Err(mistakes) => {
            common::logging::complain(&mistakes.to_string());
            return ExitCode::from(2);
        }
    };
    let _logs = common::logging::start(config.base.log_format, config.base.log_filter.as_deref());
    match api::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "billing-api could not run");
            ExitCode::FAILURE
        }
    }
}
