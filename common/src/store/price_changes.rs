//! New prices of plans, as operators announced them. Whoever writes one holds the plan's lock.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known, one_row, won};
use crate::domain::{
    calendar::Cycle,
    money::Won,
    price_change::{PriceChange, Withdrawal},
};

struct Row {
    id: Uuid,
    plan: String,
    cycle: String,
    old_amount: i32,
    new_amount: i32,
    effective_from: NaiveDate,
    reprices_plan: bool,
    follows: Option<Uuid>,
    requested_by: String,
    reason: String,
    created_at: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    withdrawn_by: Option<String>,
    withdrawal: Option<String>,
}

impl TryFrom<Row> for PriceChange {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let withdrawal = row.withdrawn_at.map(|at| Withdrawal {
            at,
            by: row.withdrawn_by.unwrap_or_default(),
            reason: row.withdrawal.unwrap_or_default(),
        });
        Ok(Self {
            id: row.id,
            plan: row.plan,
            cycle: known("price_changes", "cycle", &row.cycle)?,
            old: won("price_changes", "old_amount", row.old_amount)?,
            new: won("price_changes", "new_amount", row.new_amount)?,
            effective_from: row.effective_from,
            reprices_plan: row.reprices_plan,
            follows: row.follows,
            requested_by: row.requested_by,
            reason: row.reason,
            created_at: row.created_at,
            closed_at: row.closed_at,
            withdrawal,
        })
    }
}

pub async fn insert(conn: &mut PgConnection, new: &PriceChange) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into price_changes
            (id, plan, cycle, old_amount, new_amount, effective_from, reprices_plan, follows, requested_by, reason,
             created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        "#,
        new.id,
        new.plan,
        <&str>::from(new.cycle),
        new.old.get(),
        new.new.get(),
        new.effective_from,
        new.reprices_plan,
        new.follows,
        new.requested_by,
        new.reason,
        new.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All of them, or one; newest first.
pub async fn list(conn: &mut PgConnection, id: Option<Uuid>) -> Result<Vec<PriceChange>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, plan, cycle, old_amount, new_amount, effective_from, reprices_plan, follows, requested_by, reason,
               created_at, closed_at, withdrawn_at, withdrawn_by, withdrawal
          from price_changes where $1::uuid is null or id = $1
         order by created_at desc, id desc
        "#,
        id
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(PriceChange::try_from).collect()
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<PriceChange>, StoreError> {
    Ok(list(conn, Some(id)).await?.pop())
}

/// The one that subscriptions at an old price of this plan and cycle follow.
pub async fn open_of(
    conn: &mut PgConnection,
    plan: &str,
    cycle: Cycle,
) -> Result<Option<PriceChange>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select id, plan, cycle, old_amount, new_amount, effective_from, reprices_plan, follows, requested_by, reason,
               created_at, closed_at, withdrawn_at, withdrawn_by, withdrawal
          from price_changes
         where plan = $1 and cycle = $2 and withdrawn_at is null and closed_at is null
        "#,
        plan,
        <&str>::from(cycle),
    )
    .fetch_optional(conn)
    .await?;
    row.map(PriceChange::try_from).transpose()
}

/// What may have something to spread, or to take back: all that are open, and the withdrawn ones with something left.
/// With `new_only`, those of which nobody knows yet that every subscription has it. Oldest first.
pub async fn to_spread(conn: &mut PgConnection, new_only: bool) -> Result<Vec<PriceChange>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, plan, cycle, old_amount, new_amount, effective_from, reprices_plan, follows, requested_by, reason,
               created_at, closed_at, withdrawn_at, withdrawn_by, withdrawal
          from price_changes
         where case when $1 then spread_at is null and (closed_at is null or withdrawn_at is not null)
               else (withdrawn_at is null and closed_at is null)
                 or (withdrawn_at is not null
                     and exists (select from plan_changes change
                                  where change.price_change_id = price_changes.id and change.status = 'pending'))
               end
         order by created_at, id
        "#,
        new_only
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(PriceChange::try_from).collect()
}

/// Every amount that this one replaces: its own old one, and those of the ones whose place has been taken.
pub async fn old_amounts(conn: &mut PgConnection, of: &PriceChange) -> Result<Vec<Won>, StoreError> {
    let amounts = sqlx::query_scalar!(
        r#"
        select distinct old_amount from price_changes
         where plan = $1 and cycle = $2 and withdrawn_at is null and (closed_at is not null or id = $3)
           and old_amount <> $4
         order by old_amount
        "#,
        of.plan,
        <&str>::from(of.cycle),
        of.id,
        of.new.get(),
    )
    .fetch_all(conn)
    .await?;
    amounts.into_iter().map(|amount| won("price_changes", "old_amount", amount)).collect()
}

/// Another one takes its place (or, with none, leaves it again).
pub async fn close(
    conn: &mut PgConnection,
    id: Uuid,
    closed_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update price_changes set closed_at = $2, spread_at = null where id = $1",
        id,
        closed_at
    )
    .execute(conn)
    .await?;
    one_row("close a price change", &done)
}

pub async fn withdraw(conn: &mut PgConnection, id: Uuid, withdrawal: &Withdrawal) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update price_changes set withdrawn_at = $2, withdrawn_by = $3, withdrawal = $4, spread_at = null
         where id = $1 and withdrawn_at is null
        "#,
        id,
        withdrawal.at,
        withdrawal.by,
        withdrawal.reason,
    )
    .execute(conn)
    .await?;
    one_row("withdraw a price change", &done)
}

/// All that it concerns have been looked at, unless it was closed or withdrawn since it was read.
pub async fn mark_spread(
    conn: &mut PgConnection,
    of: &PriceChange,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update price_changes set spread_at = $2
         where id = $1 and closed_at is not distinct from $3 and (withdrawn_at is not null) = $4
        "#,
        of.id,
        now,
        of.closed_at,
        of.withdrawal.is_some(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
