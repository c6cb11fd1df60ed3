//! `toss-sandbox`: the sandbox as a program.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sandbox::{Sandbox, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Pretty,
    Json,
}

/// Behaves like the Toss Payments core API: with memory, test cards, scripted faults, webhooks and a payment
/// window. No money moves. Scripting is explained at `/sandbox`.
#[derive(Debug, Parser)]
#[command(name = "toss-sandbox", version)]
struct Arguments {
    /// Address to listen on
    #[arg(long, env = "SANDBOX_ADDR", default_value = "127.0.0.1:8090")]
    addr: String,
    /// Where webhooks are sent (http:// only); scripting can change it
    #[arg(long, env = "SANDBOX_WEBHOOK_URL")]
    webhook_url: Option<String>,
    /// Accepted secret keys, separated by commas; KEY* accepts all that begin with KEY [default: every test key]
    #[arg(long, env = "SANDBOX_SECRET_KEYS")]
    secret_keys: Option<String>,
    #[arg(long, env = "LOG_FORMAT", default_value = "pretty")]
    log_format: LogFormat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logs(arguments.log_format);
    let settings = Settings {
        addr: arguments.addr,
        webhook_url: arguments.webhook_url.filter(|text| !text.is_empty()),
        secret_keys: arguments.secret_keys.filter(|text| !text.is_empty()),
    };
    let (addr, config) = match settings.check() {
        Ok(checked) => checked,
        Err(mistakes) => {
            eprint!("{mistakes}");
            return ExitCode::from(2);
        }
    };
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("cannot listen for signals: {error}");
                return ExitCode::FAILURE;
            }
        };
    match Sandbox::start_with(addr, config).await {
        Ok(sandbox) => {
            tracing::info!(url = sandbox.url(), "toss-sandbox is up; scripting at /sandbox");
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            sandbox.run_until(stop).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("SANDBOX_ADDR: cannot listen on {addr}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Pretty => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}
