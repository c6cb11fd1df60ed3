//! The dry run of a day: who is charged, how much and why; who is not, and why. Writes nothing.
//!
//! It reads what the scan reads and decides with [`crate::domain::forecast`], in batches of bounded size.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::calendar::{OutOfCalendar, days_after, seoul_midnight};
use crate::domain::forecast::{Cause, ForecastFacts, InvoiceFacts, NotCharged, forecast};
use crate::domain::money::Won;
use crate::domain::payment::Payment;
use crate::domain::plan_change::PlanChange;
use crate::id::as_subscription_ref;
use crate::store::{StoreError, invoices, payments, plan_changes, scan, settings, subscriptions};

const BATCH: i64 = 2_000;

#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    #[error(transparent)]
    Calendar(#[from] OutOfCalendar),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One invoice that is due by the end of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRunLine {
    #[serde(serialize_with = "as_subscription_ref")]
    pub subscription_id: Uuid,
    pub plan: String,
    /// Won.
    pub amount: Won,
    pub period_no: u32,
    pub period_start: NaiveDate,
    /// First day after the period.
    pub period_end: NaiveDate,
    /// Since when the subscription is due.
    pub due_at: DateTime<Utc>,
    pub has_card: bool,
    pub cause: Cause,
    /// `None`: the card is charged.
    pub not_charged: Option<NotCharged>,
    /// What it pays until then, where a change comes that day.
    pub old_plan: Option<String>,
    /// Won.
    pub old_amount: Option<Won>,
}

/// The sums of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRunTotals {
    pub charged: u64,
    /// Won.
    pub amount: i64,
    /// By reason: how many, and how many won.
    pub not_charged: BTreeMap<NotCharged, (u64, i64)>,
}

impl DryRunTotals {
    pub fn add(&mut self, line: &DryRunLine) {
        let won = i64::from(line.amount.get());
        if let Some(why) = line.not_charged {
            let (count, amount) = self.not_charged.entry(why).or_default();
            *count = count.saturating_add(1);
            *amount = amount.saturating_add(won);
        } else {
            self.charged = self.charged.saturating_add(1);
            self.amount = self.amount.saturating_add(won);
        }
    }
}

/// One batch in the order of the subscriptions' ids, and after which id the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRunPage {
    pub lines: Vec<DryRunLine>,
    pub next: Option<Uuid>,
}

/// What is due by the end of `date`, as far as `limit` subscriptions after `after` are concerned.
pub async fn dry_run_page(
    conn: &mut PgConnection,
    date: NaiveDate,
    after: Uuid,
    limit: i64,
) -> Result<DryRunPage, DryRunError> {
    let at = seoul_midnight(days_after(date, 1)?) - TimeDelta::microseconds(1);
    let ids = scan::due_subscriptions(conn, at, after, limit).await?;
    let next = ids.last().copied().filter(|_| i64::try_from(ids.len()).is_ok_and(|count| count == limit));
    let lines = lines_of(conn, &ids, at).await?;
    Ok(DryRunPage { lines, next })
}

/// All that is due by the end of `date`.
pub async fn dry_run(conn: &mut PgConnection, date: NaiveDate) -> Result<Vec<DryRunLine>, DryRunError> {
    let (mut all, mut after) = (Vec::new(), Some(Uuid::nil()));
    while let Some(last) = after {
        let page = dry_run_page(conn, date, last, BATCH).await?;
        all.extend(page.lines);
        after = page.next;
    }
    Ok(all)
}

/// The sums alone.
pub async fn dry_run_totals(conn: &mut PgConnection, date: NaiveDate) -> Result<DryRunTotals, DryRunError> {
    let (mut totals, mut after) = (DryRunTotals::default(), Some(Uuid::nil()));
    while let Some(last) = after {
        let page = dry_run_page(conn, date, last, BATCH).await?;
        page.lines.iter().for_each(|line| totals.add(line));
        after = page.next;
    }
    Ok(totals)
}

async fn lines_of(
    conn: &mut PgConnection,
    ids: &[Uuid],
    at: DateTime<Utc>,
) -> Result<Vec<DryRunLine>, DryRunError> {
    let charging_enabled = settings::charging_enabled(conn).await?;
    let pending =
        grouped_by(plan_changes::pending_of(conn, ids).await?, |change: &PlanChange| change.subscription_id);
    let invoices = grouped_by(invoice_facts(conn, ids).await?, |facts| facts.invoice.subscription_id);
    let mut lines = Vec::with_capacity(ids.len());
    for subscription in subscriptions::of_ids(conn, ids).await? {
        let facts = ForecastFacts {
            subscription: &subscription,
            pending: pending.get(&subscription.id).map_or(&[], Vec::as_slice),
            invoices: invoices.get(&subscription.id).map_or(&[], Vec::as_slice),
            charging_enabled,
            at,
        };
        lines.extend(forecast(facts)?.into_iter().map(|line| {
            let changes = (&line.plan, line.amount) != (&subscription.plan, subscription.amount)
                && line.cause == Cause::ChangedRenewal;
            DryRunLine {
                subscription_id: subscription.id,
                plan: line.plan,
                amount: line.amount,
                period_no: line.period.no,
                period_start: line.period.start,
                period_end: line.period.end,
                due_at: subscription.next_billing_date,
                has_card: subscription.sealed_billing_key.is_some(),
                cause: line.cause,
                not_charged: line.not_charged,
                old_plan: changes.then(|| subscription.plan.clone()),
                old_amount: changes.then_some(subscription.amount),
            }
        }));
    }
    Ok(lines)
}

async fn invoice_facts(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<InvoiceFacts>, StoreError> {
    let unpaid = invoices::unpaid_of(conn, ids).await?;
    let invoice_ids: Vec<Uuid> = unpaid.iter().map(|invoice| invoice.id).collect();
    let mut attempts =
        grouped_by(payments::of_invoices(conn, &invoice_ids).await?, |payment: &Payment| payment.invoice_id);
    let skips = invoices::skips_of(conn, &invoice_ids).await?;
    let facts = unpaid.into_iter().map(|invoice| InvoiceFacts {
        attempts: attempts.remove(&invoice.id).unwrap_or_default(),
        skips: skips.get(&invoice.id).copied().unwrap_or_default(),
        invoice,
    });
    Ok(facts.collect())
}

fn grouped_by<T>(rows: Vec<T>, key: impl Fn(&T) -> Uuid) -> HashMap<Uuid, Vec<T>> {
    let mut grouped: HashMap<Uuid, Vec<T>> = HashMap::new();
    for row in rows {
        grouped.entry(key(&row)).or_default().push(row);
    }
    grouped
}
