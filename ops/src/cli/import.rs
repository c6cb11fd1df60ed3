//! The words of `billing import`.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, ValueEnum};
use ops::import::{NaiveTimes, Wish};
use secrecy::SecretString;

const EXAMPLES: &str = "Examples:
  billing import subscriptions.csv --first-charge-after 2026-11-25
  billing import subscriptions.csv --first-charge-after 2026-11-25 --apply
  billing import --from postgres://reader@old.example.com/app --first-charge-after 2026-11-25

Needs BILLING_KEY_ENCRYPTION_KEYS, the worker's. A password may be left to PGPASSWORD or ~/.pgpass.
Without --apply nothing is written. While one row is wrong, nothing is written at all.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// CSV in UTF-8 with the guide's columns, and the customer's e-mail address and name
    #[arg(required_unless_present = "from")]
    pub(crate) file: Option<PathBuf>,
    /// A database with the guide's own schema instead of a file
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    pub(crate) from: Option<SecretString>,
    /// The last day, in Seoul, that the other system charges: nothing up to it is charged here
    #[arg(long, value_name = "YYYY-MM-DD")]
    first_charge_after: NaiveDate,
    /// Write it; default: only say what would be written
    #[arg(long)]
    apply: bool,
    /// Only say what would be written, as by default
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// What times without a zone mean
    #[arg(long, value_enum, default_value_t = Zone::Utc)]
    naive_times: Zone,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Zone {
    Utc,
    Seoul,
}

impl Import {
    pub(crate) fn wish(&self) -> Wish {
        let naive_times = match self.naive_times {
            Zone::Utc => NaiveTimes::Utc,
            Zone::Seoul => NaiveTimes::Seoul,
        };
        let apply = self.apply && !self.dry_run;
        Wish { first_charge_after: self.first_charge_after, naive_times, apply }
    }
}
