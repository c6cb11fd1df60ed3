//! How every process logs: readable for people, JSON for machines, filtered by `RUST_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{Base, LogFormat};

const USUAL: &str = "info,sqlx=warn,hyper=warn,tokio_cron_scheduler=warn";

/// Whether this can be `RUST_LOG`.
pub fn check(filter: &str) -> Result<(), ParseError> {
    EnvFilter::try_new(filter).map(|_| ())
}

/// Starts logging to standard error. A second call changes nothing.
pub fn start(base: &Base) {
    let filter = base.log_filter.as_deref().and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(USUAL));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match base.log_format {
        LogFormat::Pretty => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging has been started before");
    }
}
