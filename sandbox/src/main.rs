//! `toss-sandbox`: the sandbox as a program.

use std::process::ExitCode;

use clap::Parser;
use sandbox::{Checked, Sandbox, Settings};
use tokio::signal::unix::{SignalKind, signal};

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
    /// Folder of a shop's pages, served under /checkout for demos
    #[arg(long, env = "SANDBOX_CHECKOUT_DIR")]
    checkout_dir: Option<String>,
    /// The billing API that these pages call
    #[arg(long, env = "SANDBOX_CHECKOUT_API")]
    checkout_api: Option<String>,
    /// pretty or json
    #[arg(long, env = "LOG_FORMAT", default_value = "pretty")]
    log_format: String,
    /// Which log lines are written
    #[arg(long, env = "RUST_LOG")]
    log: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let set = |text: Option<String>| text.filter(|text| !text.is_empty());
    let settings = Settings {
        addr: arguments.addr,
        webhook_url: set(arguments.webhook_url),
        secret_keys: set(arguments.secret_keys),
        checkout_dir: set(arguments.checkout_dir),
        checkout_api: set(arguments.checkout_api),
        log_format: arguments.log_format,
        rust_log: set(arguments.log),
    };
    match settings.check() {
        Ok(checked) => run(checked).await,
        Err(mistakes) => {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), mistakes.to_string().as_bytes());
            ExitCode::from(2)
        }
    }
}

async fn run(checked: Checked) -> ExitCode {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(checked.log_filter)
        .with_writer(std::io::stderr)
        // It would panic when standard error cannot be written.
        .log_internal_errors(false);
    if checked.json_logs {
        logs.json().init();
    } else {
        logs.init();
    }
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "cannot listen for signals");
                return ExitCode::FAILURE;
            }
        };
    match Sandbox::start_with(checked.addr, checked.config).await {
        Ok(sandbox) => {
            tracing::info!(url = sandbox.url(), "toss-sandbox is up; scripting at /sandbox");
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sandbox.shutdown().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(address = %checked.addr, %error, "cannot listen (SANDBOX_ADDR)");
            ExitCode::FAILURE
        }
    }
}
