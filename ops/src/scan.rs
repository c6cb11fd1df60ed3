//! `billing scan`: the daily run by hand, or what it would do.

use std::{collections::HashMap, fmt};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::Args;
use common::{
    domain::{
        calendar::{days_after, seoul_date, seoul_midnight},
        plan_change::{AtRenewal, PlanChange, at_renewal, next_change},
        subscription::SubscriptionStatus,
    },
    id::{as_subscription_ref, subscription_ref},
    jobs::{self, ScanDueSubscriptions},
    queue::{self, Enqueued},
    store::{
        plan_changes,
        scan::{self, Preview},
        settings,
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    OpsError,
    session::Session,
    text::{Table, won},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  billing scan\n  billing scan --date 2027-01-31 --dry-run")]
pub struct Command {
    /// Civil date in Seoul; default: today
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Only list what would be charged, with totals; any date
    #[arg(long)]
    dry_run: bool,
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        if self.dry_run {
            session.print(&dry_run(&mut conn, self.date, now).await?)
        } else {
            session.print(&run(&mut conn, self.date, now).await?)
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

/// What the scan of that day would charge. Nothing was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    pub date: NaiveDate,
    pub due: Vec<DueLine>,
    pub subscriptions: usize,
    /// Won, those without a card and those that would end left out.
    pub total: i64,
    pub without_card: usize,
    /// Nobody agreed to their new amount: they would end, and not be charged.
    pub would_end: usize,
    pub charging_enabled: bool,
}

/// One that is due, under the terms of that day.
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
}

impl DueLine {
    fn is_charged(&self) -> bool {
        self.has_card && !self.would_end
    }
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
    let due = under_terms_of(conn, due, date).await?;
    let charging_enabled = settings::charging_enabled(conn).await?;
    Ok(DryRun {
        date,
        subscriptions: due.len(),
        total: due.iter().filter(|line| line.is_charged()).map(|line| i64::from(line.amount)).sum(),
        without_card: due.iter().filter(|line| !line.has_card).count(),
        would_end: due.iter().filter(|line| line.would_end).count(),
        charging_enabled,
        due,
    })
}

/// The run of the day settles what changes before it bills.
async fn under_terms_of(
    conn: &mut PgConnection,
    due: Vec<Preview>,
    date: NaiveDate,
) -> Result<Vec<DueLine>, OpsError> {
    let ids: Vec<Uuid> = due.iter().map(|line| line.subscription_id).collect();
    let mut pending: HashMap<Uuid, Vec<PlanChange>> = HashMap::new();
    for change in plan_changes::pending_of(conn, &ids).await? {
        pending.entry(change.subscription_id).or_default().push(change);
    }
    let line = |line: Preview| {
        let changes = pending.get(&line.subscription_id).map(Vec::as_slice).unwrap_or_default();
        due_line(line, next_change(changes), date)
    };
    Ok(due.into_iter().map(line).collect())
}

fn due_line(line: Preview, change: Option<&PlanChange>, date: NaiveDate) -> DueLine {
    let Preview { subscription_id, plan, amount, due_at, has_card } = line;
    let due = DueLine {
        subscription_id,
        plan,
        amount,
        due_at,
        has_card,
        old_plan: None,
        old_amount: None,
        would_end: false,
    };
    let Some(change) = change else { return due };
    let would_end = match at_renewal(change, SubscriptionStatus::Active, date) {
        AtRenewal::NotYet | AtRenewal::Lapse => return due,
        AtRenewal::Apply => false,
        AtRenewal::End => true,
    };
    DueLine {
        plan: change.to.plan.clone(),
        amount: change.to.amount.get(),
        old_plan: Some(due.plan),
        old_amount: Some(due.amount),
        would_end,
        ..due
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
        if self.would_end > 0 {
            writeln!(f, "{} would end: nobody agreed to the new amount", self.would_end)?;
        }
        if !self.charging_enabled {
            writeln!(f, "charging is OFF: nothing would be charged until `billing charging on`")?;
        }
        Ok(())
    }
}

fn changes_from(line: &DueLine) -> String {
    let (Some(plan), Some(amount)) = (&line.old_plan, line.old_amount) else { return String::new() };
    let end = if line.would_end { "; NO CONSENT: ends" } else { "" };
    format!("{plan} {}{end}", won(i64::from(amount)))
}
