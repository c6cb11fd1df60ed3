//! `billing import`: brings the subscriptions of another system over, with their billing keys, and charges none of its
//! dates again.
//!
//! Nothing is written while a single row is wrong, and without being asked to. A run that dies goes on when it is
//! repeated: a batch is one transaction, and a row that is here already stays as it is.

mod csv_file;
mod duplicates;
mod judge;
mod known;
mod legacy_database;
mod moment_text;
mod record;
mod report;
mod rows;
mod write;

use chrono::{DateTime, NaiveDate, Utc};
use common::{
    domain::{calendar::seoul_date, import::Handover},
    seal::Sealer,
};
use sqlx::PgConnection;

pub use csv_file::read_csv;
pub use legacy_database::read_database;
pub use moment_text::NaiveTimes;
pub use report::{Mistake, Report};
pub use rows::Rows;

use crate::OpsError;

/// What the operator decides.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The last civil date in Seoul that the other system charges.
    pub first_charge_after: NaiveDate,
    pub naive_times: NaiveTimes,
    /// Without it, nothing is written.
    pub apply: bool,
}

/// Looks at every row, and brings them over if that is wished and none is wrong.
pub async fn run(
    conn: &mut PgConnection,
    rows: Rows,
    wish: Wish,
    sealer: &Sealer,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Report, OpsError> {
    known::refuse_other_sealing_keys(conn, sealer).await?;
    let handover = Handover { first_charge_after: wish.first_charge_after, today: seoul_date(now) };
    let mut report = Report::about(&rows, wish);
    let (records, mut mistakes) = record::parse(&rows, wish.naive_times);
    let known = known::sources(conn, &records).await?;
    let judged = judge::judge(conn, records, &known, handover, &mut mistakes).await?;
    duplicates::find(&judged.all, &mut mistakes);
    known::find_conflicts(conn, &judged.new, sealer, &mut mistakes).await?;
    report.count(&judged, handover);
    report.mistakes = mistakes.in_order();
    if wish.apply && report.mistakes.is_empty() {
        report.imported = write::all(conn, &judged.new, &rows.source, sealer, actor, now).await?;
        report.applied = true;
    }
    Ok(report)
}
