//! `billing plans`: what is sold, and for how much.

use std::fmt;

use chrono::{DateTime, Utc};
use common::{
    domain::{
        calendar::{Cycle, seoul_date},
        money::Won,
        plan::Plan,
        price_change::{PriceChange, Standing},
    },
    store::{plans, price_changes},
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::{OpsError, table::Table};

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Plans(pub Vec<PlanLine>);

/// Prices in won, per month and per year.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PlanLine {
    pub code: String,
    pub name: String,
    pub monthly: Won,
    pub yearly: Won,
}

/// What is to become of a plan; what is not given stays as it is. A new plan needs everything.
#[derive(Debug, Clone, Default)]
pub struct PlanChange {
    pub name: Option<String>,
    pub monthly: Option<Won>,
    pub yearly: Option<Won>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSet {
    pub plan: PlanLine,
    pub is_new: bool,
}

impl From<Plan> for PlanLine {
    fn from(plan: Plan) -> Self {
        Self { code: plan.code, name: plan.name, monthly: plan.monthly, yearly: plan.yearly }
    }
}

pub async fn list(conn: &mut PgConnection) -> Result<Plans, OpsError> {
    Ok(Plans(plans::list(conn).await?.into_iter().map(PlanLine::from).collect()))
}

/// Makes a plan or changes it. Running subscriptions keep the price that their customers agreed to.
pub async fn set(
    conn: &mut PgConnection,
    code: &str,
    change: PlanChange,
    now: DateTime<Utc>,
) -> Result<PlanSet, OpsError> {
    check(code, &change)?;
    let mut tx = conn.begin().await?;
    let old = plans::lock(&mut tx, code).await?;
    for (cycle, price) in [(Cycle::Monthly, change.monthly), (Cycle::Yearly, change.yearly)] {
        if let Some(price) = price.filter(|price| old.as_ref().is_some_and(|old| old.price(cycle) != *price))
        {
            refuse_against_price_change(&mut tx, code, cycle, price, now).await?;
        }
    }
    let is_new = old.is_none();
    let (old_name, old_monthly, old_yearly) =
        old.map_or((None, None, None), |old| (Some(old.name), Some(old.monthly), Some(old.yearly)));
    let missing = |option: &str| OpsError::Usage(format!("there is no plan {code} yet: give {option}, too"));
    let plan = PlanLine {
        code: code.to_owned(),
        name: change.name.or(old_name).ok_or_else(|| missing("--name"))?,
        monthly: change.monthly.or(old_monthly).ok_or_else(|| missing("--monthly"))?,
        yearly: change.yearly.or(old_yearly).ok_or_else(|| missing("--yearly"))?,
    };
    plans::set(&mut tx, &plan.code, &plan.name, plan.monthly, plan.yearly).await?;
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
    let Some(open) = price_changes::open_of(conn, code, cycle).await? else { return Ok(()) };
    let PriceChange { id, new, effective_from, .. } = &open;
    if open.standing(seoul_date(now)) == Standing::Announced {
        let what = format!("price change {id} to {new} from {effective_from} on is still to come");
        return Err(OpsError::Refused(format!("{what}: withdraw it first")));
    }
    if price_changes::old_amounts(conn, &open).await?.contains(&price) {
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

impl fmt::Display for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["CODE", "NAME", "MONTHLY", "YEARLY"]);
        for plan in &self.0 {
            table.row([
                plan.code.clone(),
                plan.name.clone(),
                plan.monthly.to_string(),
                plan.yearly.to_string(),
            ]);
        }
        write!(f, "{table}")
    }
}

impl fmt::Display for PlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanLine { code, name, monthly, yearly } = &self.plan;
        let what = if self.is_new { "new plan" } else { "plan" };
        writeln!(f, "{what} {code} ({name}): {monthly} monthly, {yearly} yearly")
    }
}
