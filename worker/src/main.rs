//! `billing-worker`: reads its configuration, runs until SIGTERM or Ctrl-C, finishes the jobs in progress.

use std::process::ExitCode;

use clap::Parser;
use common::{config::Vars, logging};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};
use worker::{config, crash, run};

/// Charges due subscriptions, retries what the bank declined, sends the e-mails.
#[derive(Parser)]
#[command(name = "billing-worker", after_help = config::HELP)]
struct Args {
    /// List every mistake in the variables, and exit: 0 when there is none, else 2
    #[arg(long)]
    check_config: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { check_config } = Args::parse();
    crash::arm();
    let config = match config::Config::read(Vars::from_env()) {
        Ok(_) if check_config => return ExitCode::SUCCESS,
        Ok(config) => config,
        Err(mistakes) if check_config => return mistakes.list(),
        Err(mistakes) => {
            logging::complain(&format!("billing-worker: {mistakes}"));
            return ExitCode::from(2);
        }
    };
    let _logs = logging::start(config.base.log_format, config.base.log_filter.as_deref());
    match start(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped by an error");
            ExitCode::FAILURE
        }
    }
}

async fn start(config: config::Config) -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    run::run(config, metrics, stop).await
}
