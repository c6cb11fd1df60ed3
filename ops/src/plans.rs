//! `billing plans`: what is sold, and for how much.

use std::fmt;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::domain::action::TargetKind;
use common::domain::calendar::{Cycle, seoul_date};
use common::domain::money::Won;
use common::domain::plan::Plan;
use common::domain::price_change::{PriceChange, Standing};
use common::store::{plans, price_changes as stored_price_changes};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::action::{Author, ReasonOption};
use crate::reprice::PriceRequest;
use crate::session::Session;
use crate::text::Table;
use crate::{OpsError, arguments, consents, price_changes, reprice};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All plans with their prices
    #[command(after_help = "Example:\n  billing plans list --json")]
    List,
    /// Make a plan or change it; running subscriptions keep their price
    #[command(after_help = "Examples:
  billing plans set team --name 팀 --monthly 49900 --yearly 478800
  billing plans set pro --monthly 21900
  billing plans set extra-seat --held-beside-others true")]
    Set {
        /// 1 to 50 of a-z, 0-9, _ and -
        code: String,
        #[command(flatten)]
        change: PlanChange,
        #[command(flatten)]
        reason: ReasonOption,
    },
    /// Announce a new price for running subscriptions, too: each follows at its first renewal on the date or later
    ///
    /// New subscribers pay it from now on. Who would pay more is asked 30 and 7 days before; without consent the
    /// subscription ends with what is paid, and is not charged.
    #[command(after_help = "Examples:
  billing plans reprice personal --monthly 12900 --from 2027-02-01 --reason 'higher costs' --dry-run
  billing plans reprice personal --monthly 12900 --yearly 118800 --from 2027-02-01 --reason 'higher costs'
  billing plans reprice personal --monthly 12900 --was 7900 --from 2027-02-01 --reason 'prices of the old system end'")]
    Reprice {
        #[command(flatten)]
        request: PriceRequest,
        /// Announce nothing: say whom it would reach, and when
        #[arg(long)]
        dry_run: bool,
    },
    /// All price changes, newest first, and how far each has come
    #[command(after_help = "Example:\n  billing plans price-changes")]
    PriceChanges,
    /// What each customer has answered to a price change
    #[command(after_help = "Example:\n  billing plans consents 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --json")]
    Consents { id: Uuid },
    /// Take a price change back before its date
    #[command(after_help = "Example:
  billing plans withdraw 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'announced by mistake'")]
    Withdraw {
        id: Uuid,
        #[arg(long)]
        reason: String,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let conn = &mut connection;
        match self {
            Self::List => session.print(&list(conn).await?),
            Self::Set { code, change, reason } => {
                let author = session.author(reason.reason.as_deref(), "set at the command line", now)?;
                session.print(&set(conn, &code, change, &author).await?)
            }
            Self::Reprice { request, dry_run } => {
                let author = session.author(Some(&request.reason), "", now)?;
                session.print(&reprice::reprice(conn, &request, dry_run, &author).await?)
            }
            Self::PriceChanges => session.print(&price_changes::list(conn, now).await?),
            Self::Consents { id } => session.print(&consents::report(conn, id).await?),
            Self::Withdraw { id, reason } => {
                let author = session.author(Some(&reason), "", now)?;
                session.print(&price_changes::withdraw(conn, id, &author).await?)
            }
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct PlanList(pub Vec<PlanLine>);

/// Prices in won, per month and per year.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanLine {
    pub code: String,
    pub name: String,
    pub monthly: Won,
    pub yearly: Won,
    /// Whether a customer may hold it beside another subscription; by default a second purchase is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held_beside_others: bool,
}

/// The new name and prices of a plan. What is not given stays as it is; a new plan needs all of them.
#[derive(Debug, Clone, Default, Args)]
pub struct PlanChange {
    #[arg(long)]
    pub name: Option<String>,
    /// Won per month, at least 100
    #[arg(long, value_name = "WON", value_parser = arguments::won)]
    pub monthly: Option<Won>,
    /// Won per year, at least 100
    #[arg(long, value_name = "WON", value_parser = arguments::won)]
    pub yearly: Option<Won>,
    /// Whether a customer may hold it beside another subscription; without it a second purchase is refused
    #[arg(long, value_name = "true|false")]
    pub held_beside_others: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSet {
    pub plan: PlanLine,
    pub is_new: bool,
}

impl From<Plan> for PlanLine {
    fn from(plan: Plan) -> Self {
        let Plan { code, name, monthly, yearly, may_be_held_beside_others } = plan;
        Self { code, name, monthly, yearly, held_beside_others: may_be_held_beside_others }
    }
}

pub async fn list(conn: &mut PgConnection) -> Result<PlanList, OpsError> {
    Ok(PlanList(plans::list(conn).await?.into_iter().map(PlanLine::from).collect()))
}

/// Makes a plan or changes it. Running subscriptions keep the price that their customers agreed to.
pub async fn set(
    conn: &mut PgConnection,
    code: &str,
    change: PlanChange,
    author: &Author,
) -> Result<PlanSet, OpsError> {
    check(code, &change)?;
    let mut tx = conn.begin().await?;
    let old = plans::lock(&mut tx, code).await?;
    for (cycle, price) in [(Cycle::Monthly, change.monthly), (Cycle::Yearly, change.yearly)] {
        if let Some(price) = price.filter(|price| old.as_ref().is_some_and(|old| old.price(cycle) != *price))
        {
            refuse_against_price_change(&mut tx, code, cycle, price, author.now).await?;
        }
    }
    let is_new = old.is_none();
    let before =
        old.clone().map_or_else(|| Ok(json!({})), |old| serde_json::to_value(PlanLine::from(old)))?;
    let was_held_beside_others = old.as_ref().is_some_and(|old| old.may_be_held_beside_others);
    let (old_name, old_monthly, old_yearly) =
        old.map_or((None, None, None), |old| (Some(old.name), Some(old.monthly), Some(old.yearly)));
    let missing = |option: &str| OpsError::Usage(format!("there is no plan {code} yet: give {option}, too"));
    let plan = PlanLine {
        code: code.to_owned(),
        name: change.name.or(old_name).ok_or_else(|| missing("--name"))?,
        monthly: change.monthly.or(old_monthly).ok_or_else(|| missing("--monthly"))?,
        yearly: change.yearly.or(old_yearly).ok_or_else(|| missing("--yearly"))?,
        held_beside_others: change.held_beside_others.unwrap_or(was_held_beside_others),
    };
    plans::set(&mut tx, &plan.code, &plan.name, plan.monthly, plan.yearly).await?;
    plans::set_held_beside_others(&mut tx, &plan.code, plan.held_beside_others).await?;
    let after = serde_json::to_value(&plan)?;
    if before != after {
        author.record(&mut tx, "plan.set", (TargetKind::Plan, &plan.code), (&before, &after)).await?;
    }
    tx.commit().await?;
    Ok(PlanSet { plan, is_new })
}

/// What is announced keeps its word, and nobody new subscribes at a price that a price change leads away from.
async fn refuse_against_price_change(
    conn: &mut PgConnection,
    code: &str,
    cycle: Cycle,
    price: Won,
    now: DateTime<Utc>,
) -> Result<(), OpsError> {
    let Some(open) = stored_price_changes::open_of(conn, code, cycle).await? else { return Ok(()) };
    let PriceChange { id, new, effective_from, .. } = &open;
    if open.standing(seoul_date(now)) == Standing::Announced {
        let what = format!("price change {id} to {new} from {effective_from} on is still to come");
        return Err(OpsError::Refused(format!("{what}: withdraw it first")));
    }
    if stored_price_changes::old_amounts(conn, &open).await?.contains(&price) {
        let what = format!("price change {id} moves everybody from {price} to {new}");
        return Err(OpsError::Refused(format!("{what}, new subscribers too: use `billing plans reprice`")));
    }
    Ok(())
}

fn check(code: &str, change: &PlanChange) -> Result<(), OpsError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if code.is_empty() || code.len() > 50 || !code.chars().all(is_plain) {
        let rule = "1 to 50 of a-z, 0-9, _ and -";
        return Err(OpsError::Usage(format!("{code:?} cannot be the code of a plan: use {rule}")));
    }
    if change.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(OpsError::Usage("the name of a plan may not be empty".to_owned()));
    }
    let too_small = |amount: Option<Won>| amount.is_some_and(|amount| amount < Won::MIN_CHARGE);
    if too_small(change.monthly) || too_small(change.yearly) {
        let least = Won::MIN_CHARGE.get();
        return Err(OpsError::Usage(format!("a price is at least {least} won: Toss refuses cards below")));
    }
    Ok(())
}

impl fmt::Display for PlanList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["CODE", "NAME", "MONTHLY", "YEARLY"]);
        for plan in &self.0 {
            table.row([
                plan.code.clone(),
                if plan.held_beside_others {
                    format!("{} (beside others)", plan.name)
                } else {
                    plan.name.clone()
                },
                plan.monthly.to_string(),
                plan.yearly.to_string(),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for PlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanLine { code, name, monthly, yearly, held_beside_others } = &self.plan;
        let what = if self.is_new { "new plan" } else { "plan" };
        let beside = if *held_beside_others { ", may be held beside others" } else { "" };
        writeln!(f, "{what} {code} ({name}): {monthly} monthly, {yearly} yearly{beside}")
    }
}
