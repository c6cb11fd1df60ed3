//! `billing reconcile`: has a worker compare Toss's transactions with ours, waits for it, and shows where they differ.

use std::{fmt, time::Duration};

use chrono::NaiveDate;
use clap::Args;
use common::domain::action::Action;
use common::domain::actor::Reason;
use common::domain::calendar::seoul_date;
use common::jobs::ReconcilePayments;
use common::store::discrepancies;
use common::store::discrepancies::{DiscrepancyRow, Run};
use common::{jobs, queue};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::OpsError;
use crate::action::{Acting, Author, parse_reason};
use crate::session::Session;
use crate::text::{Table, plain, seoul_or_dash, won};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  billing reconcile
  billing reconcile --date 2027-01-31 --json
  billing reconcile --open
  billing reconcile --accept 01a204b5-3c45-70da-b6fa-ed7e91d0009e --reason 'sold in the shop, not here'")]
pub struct Command {
    /// Civil date in Seoul; default: yesterday, and today as far as it has come
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Compare nothing: list the open discrepancies of all days
    #[arg(long, conflicts_with = "date")]
    open: bool,
    /// Compare nothing: leave an open discrepancy as it is, without further alarms, unless its amounts change
    #[arg(long, value_name = "DISCREPANCY", conflicts_with_all = ["date", "open"], requires = "reason")]
    accept: Option<Uuid>,
    /// Why it may stay
    #[arg(long, requires = "accept")]
    reason: Option<String>,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        match self {
            Self { accept: Some(id), reason, .. } => {
                let reason = parse_reason(&reason.unwrap_or_default())?;
                session.print(&accept(&mut conn, id, &reason, &session.acting(now)?).await?)
            }
            Self { open: true, .. } => session.print(&open(&mut conn).await?),
            Self { date, .. } => {
                let author = session.author(None, "asked for at the command line", now)?;
                session.print(&run(&mut conn, date, DEFAULT_WAIT, &author).await?)
            }
        }
    }
}

/// Several times as long as a worker usually needs.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// More than anybody reads.
const MAX_DISCREPANCIES: i64 = 10_000;

/// Each day that was compared, and every discrepancy of it, resolved ones included.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    pub runs: Vec<Run>,
    pub discrepancies: Vec<DiscrepancyRow>,
}

/// The discrepancies of all days that wait for somebody, newest day first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct OpenDiscrepancies(pub Vec<DiscrepancyRow>);

/// Compares `date` (civil date in Seoul), or else yesterday and today as far as it has come.
///
/// The worker asks Toss: this needs no secret of Toss's, but a worker that runs.
pub async fn run(
    conn: &mut PgConnection,
    date: Option<NaiveDate>,
    wait: Duration,
    author: &Author,
) -> Result<Reconciled, OpsError> {
    let today = seoul_date(author.now);
    let days: Vec<NaiveDate> = match date {
        Some(date) if date > today => {
            let why = format!("{date} is in the future (today in Seoul: {today})");
            return Err(OpsError::Refused(why));
        }
        Some(date) => vec![date],
        None => today.pred_opt().into_iter().chain([today]).collect(),
    };
    let mut asked = Vec::with_capacity(days.len());
    let mut tx = conn.begin().await?;
    for day in days {
        let job = ReconcilePayments { date: day, daily_run: None };
        let enqueued = jobs::enqueue(&mut tx, &job, author.now, author.now).await?;
        author.record_enqueued(&mut tx, "reconcile.start", enqueued, day).await?;
        asked.push(enqueued.id());
    }
    tx.commit().await?;
    let deadline = Instant::now() + wait;
    let mut reconciled = Reconciled { runs: Vec::new(), discrepancies: Vec::new() };
    for job in asked {
        let run = finished(conn, job, deadline).await?;
        reconciled.discrepancies.extend(discrepancies::of_day(conn, run.date).await?);
        reconciled.runs.push(run);
    }
    Ok(reconciled)
}

/// The discrepancies of all days. Compares nothing.
pub async fn open(conn: &mut PgConnection) -> Result<OpenDiscrepancies, OpsError> {
    Ok(OpenDiscrepancies(discrepancies::open(conn, MAX_DISCREPANCIES).await?))
}

/// The discrepancy, with who accepts it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Accepted(pub DiscrepancyRow);

/// Somebody has looked into an open discrepancy and leaves it as it is: no alarm any more, unless its amounts change.
pub async fn accept(
    conn: &mut PgConnection,
    id: Uuid,
    reason: &Reason,
    acting: &Acting,
) -> Result<Accepted, OpsError> {
    let not_found = || OpsError::NotFound(format!("no discrepancy {id} is open"));
    let accepted = acting.perform(conn, &Action::AcceptDiscrepancy(id), reason).await;
    match accepted {
        Ok(_) => {}
        Err(OpsError::NotFound(_) | OpsError::Refused(_)) => return Err(not_found()),
        Err(error) => return Err(error),
    }
    Ok(Accepted(discrepancies::find(conn, id).await?.ok_or_else(not_found)?))
}

/// What the job came to, once it has: its last try counts.
async fn finished(conn: &mut PgConnection, job: i64, deadline: Instant) -> Result<Run, OpsError> {
    loop {
        let Some(last) = queue::show(conn, job).await?.pop() else {
            return Err(OpsError::NotFound(format!("job {job} is gone")));
        };
        if let Some(run) = discrepancies::run_of_job(conn, last.id).await? {
            return Ok(run);
        }
        let why = last.last_error.or(last.note).map(|why| format!(": {}", plain(&why))).unwrap_or_default();
        let is_over = ["failed", "discarded", "parked"].contains(&last.state.as_str());
        if is_over || Instant::now() >= deadline {
            let (id, state) = (last.id, last.state);
            return Err(OpsError::Refused(format!("not compared yet, job {id} is {state}{why}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn table(lines: &[DiscrepancyRow]) -> Table {
    let mut table = Table::new(&[
        "DATE",
        "KIND",
        "ORDER",
        "OURS",
        "TOSS",
        "TRANSACTION",
        "RESOLVED (SEOUL)",
        "HOW",
        "DISCREPANCY",
    ]);
    for line in lines {
        table.row([
            line.date.to_string(),
            line.kind.clone(),
            line.order_id.clone().unwrap_or_default(),
            line.our_amount.map_or_else(|| "-".to_owned(), won),
            line.their_amount.map_or_else(|| "-".to_owned(), won),
            line.transaction_key.clone().unwrap_or_else(|| "-".to_owned()),
            seoul_or_dash(line.resolved_at),
            how(line),
            line.id.to_string(),
        ]);
    }
    table
}

fn how(line: &DiscrepancyRow) -> String {
    match (&line.resolution, &line.accepted_by, &line.acceptance) {
        (Some(how), _, _) => how.clone(),
        (None, Some(who), Some(why)) => format!("accepted by {who}: {}", plain(why)),
        (None, _, _) => "open".to_owned(),
    }
}

impl fmt::Display for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.discrepancies.is_empty() {
            writeln!(f, "{}", table(&self.discrepancies))?;
        }
        for run in &self.runs {
            let Run { date, captures, refunds, payments, our_refunds, discrepancies_open, .. } = run;
            let here = format!("{payments} captures and {our_refunds} refunds here");
            let there = format!("{captures} and {refunds} at Toss");
            writeln!(f, "{date}: {here}, {there}; {discrepancies_open} discrepancies open")?;
        }
        Ok(())
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", table(std::slice::from_ref(&self.0)))
    }
}

impl fmt::Display for OpenDiscrepancies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", table(&self.0))
    }
}
