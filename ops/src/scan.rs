//! `billing scan`: the daily run by hand, or what it would do.

use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::{
    domain::{
        calendar::{days_after, seoul_date, seoul_midnight},
        money::Won,
    },
    id::subscription_ref,
    jobs::{self, ScanDueSubscriptions},
    queue::{self, Enqueued},
    store::{
        scan::{self, Preview},
        settings,
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::{OpsError, table::Table};

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

/// What the scan of that day would charge. Nothing was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    pub date: NaiveDate,
    pub due: Vec<Preview>,
    pub subscriptions: usize,
    /// Won, those without a card left out.
    pub total: i64,
    pub without_card: usize,
    pub charging_enabled: bool,
}

/// Enqueues the scan of `date` (civil date in Seoul; default: today). Twice a day is once, whoever asks.
pub async fn run(
    conn: &mut PgConnection,
    date: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<ScanAsked, OpsError> {
    let today = seoul_date(now);
    let date = date.unwrap_or(today);
    if date > today {
        let advice = "a day that has not come is scanned with --dry-run only";
        return Err(OpsError::Refused(format!(
            "{date} is in the future (today in Seoul: {today}): {advice}"
        )));
    }
    let mut tx = conn.begin().await?;
    let enqueued = jobs::enqueue(&mut tx, &ScanDueSubscriptions { date }, now, now).await?;
    tx.commit().await?;
    let state = queue::show(conn, enqueued.id()).await?.pop().map(|last| last.state).unwrap_or_default();
    let is_new = match enqueued {
        Enqueued::New(_) => true,
        Enqueued::Existing(_) => false,
    };
    Ok(ScanAsked { date, job: enqueued.id(), is_new, state })
}

/// Looks, as of now, for what the scan of `date` (default: today) would charge.
pub async fn dry_run(
    conn: &mut PgConnection,
    date: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<DryRun, OpsError> {
    let date = date.unwrap_or_else(|| seoul_date(now));
    let next_day = days_after(date, 1).map_err(|error| OpsError::Usage(error.to_string()))?;
    let until = seoul_midnight(next_day) - TimeDelta::microseconds(1);
    let due = scan::preview(conn, until, i64::MAX).await?;
    let charging_enabled = settings::charging_enabled(conn).await?;
    Ok(DryRun {
        date,
        subscriptions: due.len(),
        total: due.iter().filter(|line| line.has_card).map(|line| i64::from(line.amount)).sum(),
        without_card: due.iter().filter(|line| !line.has_card).count(),
        charging_enabled,
        due,
    })
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
        let mut table = Table::new(&["SUBSCRIPTION", "PLAN", "AMOUNT", "DUE ON", "CARD"]);
        for line in &self.due {
            table.row([
                subscription_ref(line.subscription_id),
                line.plan.clone(),
                won(i64::from(line.amount)),
                seoul_date(line.due_at).to_string(),
                if line.has_card { "yes" } else { "NONE: not charged" }.to_owned(),
            ]);
        }
        write!(f, "{table}")?;
        let Self { date, subscriptions, without_card, .. } = self;
        writeln!(
            f,
            "\nscan of {date}: {subscriptions} due, {without_card} without a card, {}",
            won(self.total)
        )?;
        if !self.charging_enabled {
            writeln!(f, "charging is OFF: nothing would be charged until `billing charging on`")?;
        }
        Ok(())
    }
}

/// A sum may be larger than any single amount.
fn won(amount: i64) -> String {
    Won::new(amount).map_or_else(|_| format!("{amount}원"), |amount| amount.to_string())
}
