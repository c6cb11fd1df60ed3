//! How every process logs: readable for people, JSON for machines, filtered by `RUST_LOG`.

use std::io::{IsTerminal, Write};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::ParseError};

/// `LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LogFormat {
    Pretty,
    Json,
}

const DEFAULT_FILTER: &str = "info,sqlx=warn,hyper=warn,tokio_cron_scheduler=warn";

/// Whether this can be `RUST_LOG`.
pub fn check(filter: &str) -> Result<(), ParseError> {
    EnvFilter::try_new(filter).map(|_| ())
}

/// So many lines wait for a log that takes them slowly or not at all; what comes then is lost.
const MAX_WAITING_LINES: usize = 10_000;

/// Writes what still waits when it is dropped. Lives as long as `main`.
#[must_use = "dropping it ends the log"]
pub struct LogGuard(#[expect(dead_code, reason = "dropped last")] WorkerGuard);

/// Starts logging to standard error. A second call changes nothing.
///
/// A thread of its own writes: a log that is full, closed or not read loses lines, and stops or delays nothing else.
pub fn start(format: LogFormat, filter: Option<&str>) -> LogGuard {
    let filter = filter.and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_WAITING_LINES)
        .finish(std::io::stderr());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // It would print to standard error that a line could not be written there, and panic when it cannot.
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Pretty => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_ok() {
        // The usual hook writes to standard error itself, and waits for it.
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    } else {
        tracing::debug!("logging has been started before");
    }
    LogGuard(guard)
}

/// Writes one text to standard error before logging has started. It may be closed or full: then only the exit code tells.
pub fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
