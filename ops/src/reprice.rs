//! `billing plans reprice`: announces a new price of a plan; or, as a dry run, says whom it would reach and when.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::commands::announce_price::{Announcement, announce_price};
use common::commands::roll_out_price;
use common::commands::roll_out_price::{next_batch, parts};
use common::domain::action::TargetKind;
use common::domain::calendar::{Cycle, seoul_date};
use common::domain::money::Won;
use common::domain::price_change::{Dates, PriceChange};
use common::store::price_rollout::DateForecast;
use common::store::{price_changes, price_rollout};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{OpsError, action::Author, arguments, text::Table};

/// A new price of a plan. At least one of the two prices is given.
#[derive(Debug, Clone, Args)]
pub struct PriceRequest {
    #[arg(value_name = "CODE")]
    pub plan: String,
    /// The new price, won per month
    #[arg(long, value_name = "WON", value_parser = arguments::won)]
    pub monthly: Option<Won>,
    /// The new price, won per year
    #[arg(long, value_name = "WON", value_parser = arguments::won)]
    pub yearly: Option<Won>,
    /// For those who pay exactly this, not the plan's price; brings them to the plan's price
    #[arg(long, value_name = "WON", value_parser = arguments::won)]
    pub was: Option<Won>,
    /// Civil date in Seoul; at least 31 days ahead where anybody would pay more
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: NaiveDate,
    /// For whoever reads it later
    #[arg(long)]
    pub reason: String,
}

/// What was announced, or would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repriced {
    pub dry_run: bool,
    pub prices: Vec<Announced>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Announced {
    /// None in a dry run: nothing was written.
    pub id: Option<Uuid>,
    pub plan: String,
    pub billing_cycle: String,
    pub old_amount: Won,
    pub new_amount: Won,
    pub effective_from: NaiveDate,
    /// From now on; else the plan's price is this already.
    pub new_subscribers_pay_it: bool,
    pub subscriptions: i64,
    pub need_a_consent: i64,
    /// Not begun yet, suspended, or canceled with a paid period left: affected if they go on.
    pub may_come_later: i64,
    /// By the date of the first charge at the new price.
    pub dates: Vec<Reached>,
}

/// How many it reaches on this date, as things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    pub date: NaiveDate,
    pub subscriptions: i64,
    pub need_a_consent: i64,
}

/// Announces, commits, and gives everybody concerned the change. What a death leaves undone, the worker does.
pub async fn reprice(
    conn: &mut PgConnection,
    request: &PriceRequest,
    dry_run: bool,
    author: &Author,
) -> Result<Repriced, OpsError> {
    let now = author.now;
    let mut tx = conn.begin().await?;
    let (mut announced, mut prices) = (Vec::new(), Vec::new());
    for wanted in wanted(request, author)? {
        let price = announce_price(&mut tx, wanted, now).await?;
        let target = (TargetKind::PriceChange, &*price.id.to_string());
        let after = json!({ "plan": price.plan, "cycle": price.cycle.to_string(), "from": price.effective_from,
            "oldAmount": price.old, "newAmount": price.new });
        author.record(&mut tx, "price_change.announce", target, (&json!({}), &after)).await?;
        prices.push(outlook(&mut tx, &price, dry_run, now).await?);
        announced.push(price);
    }
    if dry_run {
        tx.rollback().await?;
        return Ok(Repriced { dry_run, prices });
    }
    tx.commit().await?;
    for price in &announced {
        roll_out(conn, price, now).await?;
    }
    Ok(Repriced { dry_run, prices })
}

fn wanted<'a>(request: &'a PriceRequest, author: &'a Author) -> Result<Vec<Announcement<'a>>, OpsError> {
    let usage = |text: &str| Err(OpsError::Usage(text.to_owned()));
    let prices = [(Cycle::Monthly, request.monthly), (Cycle::Yearly, request.yearly)];
    let prices: Vec<_> = prices.into_iter().filter_map(|(cycle, price)| Some((cycle, price?))).collect();
    if prices.is_empty() {
        return usage("give the new price: --monthly, --yearly or both");
    }
    if prices.iter().any(|(_, price)| *price < Won::MIN_CHARGE) {
        let least = Won::MIN_CHARGE.get();
        return usage(&format!("a price is at least {least} won: Toss refuses cards below"));
    }
    if request.was.is_some() && prices.len() > 1 {
        return usage("--was is what they pay in one cycle: give --monthly or --yearly, not both");
    }
    let one = |(cycle, price)| Announcement {
        plan: &request.plan,
        cycle,
        price,
        was: request.was,
        effective_from: request.from,
        actor: author.actor.as_str(),
        reason: author.reason.as_str(),
    };
    Ok(prices.into_iter().map(one).collect())
}

/// Makes the plan changes, batch by batch. The daily run makes those of subscriptions whose rows somebody holds.
pub(crate) async fn roll_out(
    conn: &mut PgConnection,
    price: &PriceChange,
    now: DateTime<Utc>,
) -> Result<(), OpsError> {
    for part in parts(price, seoul_date(now)) {
        let mut last = Uuid::nil();
        loop {
            let mut tx = conn.begin().await?;
            let batch = next_batch(&mut tx, price, *part, last, now).await?;
            let Some(end) = batch.last() else { break };
            last = end.subscription_id;
            roll_out_price::roll_out(&mut tx, price, *part, batch, now).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Whom it reaches when, by the facts of now.
async fn outlook(
    conn: &mut PgConnection,
    price: &PriceChange,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<Announced, OpsError> {
    let today = seoul_date(now);
    let dates = Dates::of(today).map_err(|error| OpsError::Usage(error.to_string()))?;
    let forecast = price_rollout::forecast(conn, price, dates).await?;
    let amounts = price_changes::old_amounts(conn, price).await?;
    let may_come_later = price_rollout::may_come_later(conn, price, &amounts, today).await?;
    let dates = forecast.into_iter().map(Reached::from).collect();
    Ok(announced((!dry_run).then_some(price.id), price, dates, may_come_later))
}

impl From<DateForecast> for Reached {
    fn from(forecast: DateForecast) -> Self {
        Self {
            date: forecast.date,
            subscriptions: forecast.subscriptions,
            need_a_consent: forecast.need_a_consent,
        }
    }
}

fn announced(id: Option<Uuid>, price: &PriceChange, dates: Vec<Reached>, may_come_later: i64) -> Announced {
    Announced {
        id,
        plan: price.plan.clone(),
        billing_cycle: price.cycle.to_string(),
        old_amount: price.old,
        new_amount: price.new,
        effective_from: price.effective_from,
        new_subscribers_pay_it: price.reprices_plan,
        subscriptions: dates.iter().map(|date| date.subscriptions).sum(),
        need_a_consent: dates.iter().map(|date| date.need_a_consent).sum(),
        may_come_later,
        dates,
    }
}

impl fmt::Display for Repriced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (no, price) in (1..).zip(&self.prices) {
            write!(f, "{}{price}", if no > 1 { "\n" } else { "" })?;
        }
        if self.dry_run { writeln!(f, "\na dry run: nothing was announced") } else { Ok(()) }
    }
}

impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, billing_cycle, old_amount, new_amount, effective_from, .. } = self;
        if let Some(id) = self.id {
            writeln!(f, "price change {id}")?;
        }
        writeln!(
            f,
            "{plan} {billing_cycle}: {old_amount} → {new_amount}, renewals from {effective_from} on"
        )?;
        if self.new_subscribers_pay_it {
            writeln!(f, "new subscribers pay {new_amount} from now on")?;
        }
        writeln!(f)?;
        let mut table = Table::new(&["FIRST CHARGE ON", "SUBSCRIPTIONS", "NEED A CONSENT"]);
        for line in &self.dates {
            table.row([
                line.date.to_string(),
                line.subscriptions.to_string(),
                line.need_a_consent.to_string(),
            ]);
        }
        write!(f, "{table}")?;
        let Self { subscriptions, need_a_consent, may_come_later, .. } = self;
        writeln!(
            f,
            "\n{subscriptions} concerned, {need_a_consent} need a consent, {may_come_later} may come later"
        )
    }
}
