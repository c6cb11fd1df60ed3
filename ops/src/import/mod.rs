//! `billing import`: brings the subscriptions of another system over, with their billing keys, and charges none of its
//! dates again.
//!
//! Nothing is written while a single row is wrong, and without being asked to. A run that dies goes on when it is
//! repeated: a batch is one transaction, and a row that is here already stays as it is.

mod csv_file;
mod duplicates;
mod known;
mod legacy_database;
mod model;
mod record;
mod report;
mod rows;
mod spreadsheet;
mod time_text;
mod validate;
mod write;

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;
use common::domain::calendar::seoul_date;
use common::domain::import::Handover;
use common::seal::Sealer;
use secrecy::SecretString;
use sqlx::PgConnection;

pub use csv_file::read_csv;
pub use legacy_database::read_database;
pub use model::Mistake;
pub use report::Report;
pub use rows::Rows;
pub use time_text::NaiveTimes;

use crate::OpsError;
use crate::action::{Author, ReasonOption};
use crate::session::Session;

const EXAMPLES: &str = "Examples:
  billing import subscriptions.csv --first-charge-after 2026-11-25
  billing import subscriptions.csv --first-charge-after 2026-11-25 --apply
  billing import --from postgres://reader@old.example.com/app --first-charge-after 2026-11-25

Needs BILLING_KEY_ENCRYPTION_KEYS, the worker's. A password may be left to PGPASSWORD or ~/.pgpass.
Without --apply nothing is written. While one row is wrong, nothing is written at all.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportRequest {
    /// CSV in UTF-8 with the guide's columns, and the customer's e-mail address and name
    #[arg(required_unless_present = "from")]
    file: Option<PathBuf>,
    /// A database with the guide's own schema instead of a file
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    from: Option<SecretString>,
    #[command(flatten)]
    terms: ImportTerms,
    /// Only say what would be written, as by default
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonOption,
}

/// What the operator decides.
#[derive(Debug, Clone, Copy, Args)]
pub struct ImportTerms {
    /// The last day, in Seoul, that the other system charges: nothing up to it is charged here
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub first_charge_after: NaiveDate,
    /// Write it; default: only say what would be written
    #[arg(long)]
    pub apply: bool,
    /// What times without a zone mean
    #[arg(long, value_enum, default_value_t = NaiveTimes::Utc)]
    pub naive_times: NaiveTimes,
}

impl ImportRequest {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let sealer = session.sealer()?;
        let rows = match (&self.file, &self.from) {
            (Some(file), _) => read_csv(file)?,
            (None, Some(url)) => read_database(url).await?,
            (None, None) => return Err(OpsError::Usage("name a file, or a database with --from".to_owned())),
        };
        let (mut conn, now) = session.connect_now().await?;
        let author = session.author(self.reason.reason.as_deref(), "imported at the command line", now)?;
        let report = run(&mut conn, rows, self.terms, &sealer, &author).await?;
        let text = session.print(&report)?;
        if report.mistakes.is_empty() {
            return Ok(text);
        }
        let message = "rows are wrong, and nothing was written: the report says which".to_owned();
        Err(OpsError::Reported { code: "wrong_rows", report: text, message })
    }
}

/// Validates every row, and writes them if that was asked for and none is wrong.
pub async fn run(
    conn: &mut PgConnection,
    rows: Rows,
    terms: ImportTerms,
    sealer: &Sealer,
    author: &Author,
) -> Result<Report, OpsError> {
    known::refuse_other_sealing_keys(conn, sealer).await?;
    let handover = Handover { first_charge_after: terms.first_charge_after, today: seoul_date(author.now) };
    let mut report = Report::about(&rows, terms.first_charge_after);
    let (records, mut mistakes) = record::parse(&rows, terms.naive_times);
    let known = known::sources(conn, &records).await?;
    let validated = validate::validate(conn, records, &known, handover, &mut mistakes).await?;
    duplicates::find(&validated.all, &mut mistakes);
    known::find_conflicts(conn, &validated.new, sealer, &mut mistakes).await?;
    report.count(&validated, handover);
    report.mistakes = mistakes.in_order();
    if terms.apply && report.mistakes.is_empty() {
        report.imported = write::all(conn, &validated.new, &rows.source, sealer, author).await?;
        report.applied = true;
    }
    Ok(report)
}
