//! `billing scan`: the daily run by hand, or what it would do.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::commands::dry_run;
use common::commands::dry_run::{DryRunError, DryRunLine, DryRunTotals};
use common::domain::calendar::seoul_date;
use common::domain::forecast::{Cause, NotCharged};
use common::domain::money::Won;
use common::id::{as_subscription_ref, subscription_ref};
use common::jobs::ScanDueSubscriptions;
use common::queue::Enqueued;
use common::store::settings;
use common::{jobs, queue};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::OpsError;
use crate::action::{Author, ReasonOption};
use crate::session::Session;
use crate::text::{Table, won};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  billing scan\n  billing scan --date 2027-01-31 --dry-run")]
pub struct Command {
    /// Civil date in Seoul; default: today
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Only list what would be charged, with totals; any date
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonOption,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        if self.dry_run {
            session.print(&dry_run(&mut conn, self.date, now).await?)
        } else {
            let reason = self.reason.reason.as_deref();
            let author = session.author(reason, "asked for at the command line", now)?;
            session.print(&run(&mut conn, self.date, &author).await?)
        }
    }
}

/// The job of that day's scan; `is_new` is false where somebody had asked for it before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanAsked {
    pub date: NaiveDate,
    pub job: i64,
    pub is_new: bool,
    /// Where its last try stands.
    pub state: String,
}

/// What the run of that day would charge. Nothing was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    pub date: NaiveDate,
    /// Renewals, each under the terms of that day.
    pub due: Vec<DueLine>,
    pub subscriptions: usize,
    /// Won: what the renewals would be charged.
    pub total: i64,
    pub without_card: usize,
    /// Nobody agreed to their new amount: they would end, and not be charged.
    pub would_end: usize,
    pub charging_enabled: bool,
    /// Everything that is due by the end of the day: also tries of declined invoices, older periods and paused
    /// subscriptions, with why a card is not charged.
    pub lines: Vec<DryRunLine>,
    /// The sums of all lines.
    pub totals: DryRunTotals,
}

/// One renewal that is due, under the terms of that day.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DueLine {
    #[serde(serialize_with = "as_subscription_ref")]
    pub subscription_id: Uuid,
    pub plan: String,
    /// Won.
    pub amount: i32,
    pub due_at: DateTime<Utc>,
    pub has_card: bool,
    /// What it pays until then, where a change comes that day.
    pub old_plan: Option<String>,
    /// Won.
    pub old_amount: Option<i32>,
    /// For want of a consent to the amount.
    pub would_end: bool,
    /// Null: the card is charged.
    pub not_charged: Option<NotCharged>,
}

/// Enqueues the scan of `date` (civil date in Seoul; default: today). Twice a day is once, whoever asks.
pub async fn run(
    conn: &mut PgConnection,
    date: Option<NaiveDate>,
    author: &Author,
) -> Result<ScanAsked, OpsError> {
    let today = seoul_date(author.now);
    let date = date.unwrap_or(today);
    if date > today {
        let advice = "a day that has not come is scanned with --dry-run only";
        return Err(OpsError::Refused(format!(
            "{date} is in the future (today in Seoul: {today}): {advice}"
        )));
    }
    let mut tx = conn.begin().await?;
    let enqueued = jobs::enqueue(&mut tx, &ScanDueSubscriptions { date }, author.now, author.now).await?;
    author.record_enqueued(&mut tx, "scan.start", enqueued, date).await?;
    tx.commit().await?;
    let state = queue::show(conn, enqueued.id()).await?.pop().map(|last| last.state).unwrap_or_default();
    let is_new = match enqueued {
        Enqueued::New(_) => true,
        Enqueued::Existing(_) => false,
    };
    Ok(ScanAsked { date, job: enqueued.id(), is_new, state })
}

/// Looks, as of now, for what the run of `date` (default: today) would charge.
pub async fn dry_run(
    conn: &mut PgConnection,
    date: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<DryRun, OpsError> {
    let date = date.unwrap_or_else(|| seoul_date(now));
    let lines = dry_run::dry_run(conn, date).await?;
    let charging_enabled = settings::charging_enabled(conn).await?;
    let mut totals = DryRunTotals::default();
    for line in &lines {
        totals.add(line);
    }
    let due: Vec<DueLine> = lines.iter().filter(|line| is_renewal(line)).map(due_line).collect();
    // The switch over all charges is told apart: it is no property of a subscription.
    let would_charge = |line: &&DueLine| matches!(line.not_charged, None | Some(NotCharged::ChargingOff));
    Ok(DryRun {
        date,
        subscriptions: due.len(),
        total: due.iter().filter(would_charge).map(|line| i64::from(line.amount)).sum(),
        without_card: due.iter().filter(|line| !line.has_card).count(),
        would_end: due.iter().filter(|line| line.would_end).count(),
        charging_enabled,
        due,
        lines,
        totals,
    })
}

fn is_renewal(line: &DryRunLine) -> bool {
    let is_new = match line.cause {
        Cause::Renewal | Cause::ChangedRenewal => true,
        Cause::Retry | Cause::OlderPeriod => false,
    };
    is_new && line.not_charged != Some(NotCharged::SubscriptionPaused)
}

fn due_line(line: &DryRunLine) -> DueLine {
    DueLine {
        subscription_id: line.subscription_id,
        plan: line.plan.clone(),
        amount: line.amount.get(),
        due_at: line.due_at,
        has_card: line.has_card,
        old_plan: line.old_plan.clone(),
        old_amount: line.old_amount.map(Won::get),
        would_end: line.not_charged == Some(NotCharged::NoConsent),
        not_charged: line.not_charged,
    }
}

impl From<DryRunError> for OpsError {
    fn from(error: DryRunError) -> Self {
        match error {
            DryRunError::Store(error) => Self::Store(error),
            DryRunError::Calendar(error) => Self::Usage(error.to_string()),
        }
    }
}

impl fmt::Display for ScanAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, job, is_new, state } = self;
        if *is_new {
            writeln!(f, "the scan of {date} is job {job}")
        } else {
            writeln!(f, "the scan of {date} had been asked for before: job {job}, {state}")
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["SUBSCRIPTION", "PLAN", "AMOUNT", "DUE ON", "CARD", "CHANGES FROM"]);
        for line in &self.due {
            table.row([
                subscription_ref(line.subscription_id),
                line.plan.clone(),
                won(i64::from(line.amount)),
                seoul_date(line.due_at).to_string(),
                if line.has_card { "yes" } else { "NONE: not charged" }.to_owned(),
                changes_from(line),
            ]);
        }
        write!(f, "{table}")?;
        let Self { date, subscriptions, without_card, .. } = self;
        writeln!(
            f,
            "\nscan of {date}: {subscriptions} due, {without_card} without a card, {}",
            won(self.total)
        )?;
        write_others(f, &self.totals)?;
        if self.would_end > 0 {
            writeln!(f, "{} would end: nobody agreed to the new amount", self.would_end)?;
        }
        if !self.charging_enabled {
            writeln!(f, "charging is OFF: nothing would be charged until `billing charging on`")?;
        }
        Ok(())
    }
}

/// All that is due that day, and what of it is not charged.
fn write_others(f: &mut fmt::Formatter<'_>, totals: &DryRunTotals) -> fmt::Result {
    let DryRunTotals { charged, amount, not_charged } = totals;
    if not_charged.is_empty() {
        return Ok(());
    }
    writeln!(f, "with retries and older periods: {charged} charged, {}", won(*amount))?;
    not_charged
        .iter()
        .try_for_each(|(why, (count, amount))| writeln!(f, "  not charged, {why}: {count}, {}", won(*amount)))
}

fn changes_from(line: &DueLine) -> String {
    let (Some(plan), Some(amount)) = (&line.old_plan, line.old_amount) else { return String::new() };
    let end = if line.would_end { "; NO CONSENT: ends" } else { "" };
    format!("{plan} {}{end}", won(i64::from(amount)))
}
