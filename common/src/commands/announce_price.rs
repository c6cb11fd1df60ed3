//! A new price of a plan is announced, or taken back before it holds.
//!
//! One transaction under the plan's lock: new subscribers pay the new price from its commit on, and every subscription at
//! an old price is known to be concerned by that row alone. Their plan changes are made afterwards, by whoever comes first.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::calendar::{Cycle, seoul_date};
use crate::domain::money::Won;
use crate::domain::plan::Plan;
use crate::domain::price_change::{
    AnnouncementRefused, PriceChange, Standing, Withdrawal, WithdrawalRefused, announce, withdraw,
};
use crate::id::new_id;
use crate::store::{StoreError, plans, price_changes, price_rollout};

#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    #[error("there is no plan {0:?}")]
    UnknownPlan(String),
    #[error("price change {} for {} from {} on is still to come: withdraw it first", .0.id, .0.new, .0.effective_from)]
    AnotherIsToCome(Box<PriceChange>),
    #[error("the plan costs {0}: only to that can those be brought who pay something else")]
    NotThePlansPrice(Won),
    #[error(transparent)]
    Refused(#[from] AnnouncementRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    #[error("there is no price change {0}")]
    NotFound(Uuid),
    #[error(transparent)]
    Refused(#[from] WithdrawalRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an operator wants to announce.
#[derive(Debug, Clone, Copy)]
pub struct Announcement<'a> {
    pub plan: &'a str,
    pub cycle: Cycle,
    pub price: Won,
    /// Whom it concerns, by what they pay; none: the plan's price.
    pub was: Option<Won>,
    pub effective_from: NaiveDate,
    pub actor: &'a str,
    pub reason: &'a str,
}

/// Announces it. One that is in force already has its place taken; what that is due before this one holds still comes.
pub async fn announce_price(
    conn: &mut PgConnection,
    wanted: Announcement<'_>,
    now: DateTime<Utc>,
) -> Result<PriceChange, AnnounceError> {
    let plan = plans::lock(conn, wanted.plan).await?;
    let plan = plan.ok_or_else(|| AnnounceError::UnknownPlan(wanted.plan.to_owned()))?;
    let (list, today) = (plan.price(wanted.cycle), seoul_date(now));
    let old = wanted.was.unwrap_or(list);
    announce(old, wanted.price, old, wanted.effective_from, today)?;
    if old != list && wanted.price != list {
        return Err(AnnounceError::NotThePlansPrice(list));
    }
    let follows = take_place(conn, wanted, now).await?;
    let new = PriceChange {
        id: new_id(now),
        plan: plan.code.clone(),
        cycle: wanted.cycle,
        old,
        new: wanted.price,
        effective_from: wanted.effective_from,
        reprices_plan: old == list,
        follows,
        requested_by: wanted.actor.to_owned(),
        reason: wanted.reason.to_owned(),
        created_at: now,
        closed_at: None,
        withdrawal: None,
    };
    price_changes::insert(conn, &new).await?;
    let concerned = price_changes::old_amounts(conn, &new).await?;
    let lowest = price_rollout::lowest(conn, &new, &concerned).await?.unwrap_or(old);
    announce(old, new.new, lowest, new.effective_from, today)?;
    if new.reprices_plan {
        set_price(conn, plan, new.cycle, new.new).await?;
    }
    tracing::info!(price_change.id = %new.id, plan = new.plan, cycle = %new.cycle, old = %new.old, new = %new.new,
        from = %new.effective_from, actor = new.requested_by, reason = new.reason, "price change announced");
    Ok(new)
}

/// Closes the one that is in force, if any, and answers it. One that is still to come is withdrawn first.
async fn take_place(
    conn: &mut PgConnection,
    wanted: Announcement<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, AnnounceError> {
    let earlier = price_changes::open_of(conn, wanted.plan, wanted.cycle).await?;
    let Some(earlier) = earlier else { return Ok(None) };
    if earlier.standing(seoul_date(now)) == Standing::Announced {
        return Err(AnnounceError::AnotherIsToCome(Box::new(earlier)));
    }
    price_changes::close(conn, earlier.id, Some(now)).await?;
    Ok(Some(earlier.id))
}

/// Takes it back. New subscribers pay the old price again; the one whose place it had taken is open again.
pub async fn withdraw_price(
    conn: &mut PgConnection,
    id: Uuid,
    actor: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<PriceChange, WithdrawError> {
    let found = price_changes::find(conn, id).await?.ok_or(WithdrawError::NotFound(id))?;
    let plan = plans::lock(conn, &found.plan).await?.ok_or(WithdrawError::NotFound(id))?;
    // Read again under the lock.
    let found = price_changes::find(conn, id).await?.ok_or(WithdrawError::NotFound(id))?;
    withdraw(&found, seoul_date(now))?;
    let withdrawal = Withdrawal { at: now, by: actor.to_owned(), reason: reason.to_owned() };
    price_changes::withdraw(conn, id, &withdrawal).await?;
    if let Some(earlier) = found.follows {
        price_changes::close(conn, earlier, None).await?;
    }
    if found.reprices_plan && plan.price(found.cycle) == found.new {
        set_price(conn, plan, found.cycle, found.old).await?;
    }
    tracing::info!(price_change.id = %id, actor, reason, "price change withdrawn");
    Ok(PriceChange { withdrawal: Some(withdrawal), ..found })
}

async fn set_price(conn: &mut PgConnection, plan: Plan, cycle: Cycle, price: Won) -> Result<(), StoreError> {
    let plan = plan.with_price(cycle, price);
    plans::set(conn, &plan.code, &plan.name, plan.monthly, plan.yearly).await
}
