//! The words of `billing clock`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    /// What the system takes the time to be
    #[command(after_help = "Example:\n  billing clock now")]
    Now,
    /// Move it forward; returns when every process has followed
    #[command(after_help = "Examples:\n  billing clock advance 31d\n  billing clock advance 1d12h30m")]
    Advance {
        /// Days, hours, minutes: 31d, 2h, 15m or together
        #[arg(value_parser = ops::clock::parse_span)]
        span: TimeDelta,
    },
    /// Move it forward to an instant, from where it runs on
    #[command(after_help = "Example:\n  billing clock set 2027-01-31T09:00:00+09:00")]
    Set {
        /// RFC 3339
        #[arg(value_parser = instant)]
        to: DateTime<Utc>,
    },
}

pub(super) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    read.map_err(|_| "write RFC 3339 with an offset, e.g. 2027-01-31T09:00:00+09:00".to_owned())
}
