//! The subscriptions that a new price concerns, and their plan changes: in batches, each under its subscriptions' locks.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, counted, known, number, won};
use crate::domain::{
    billing_schedule::BillingSchedule,
    money::Won,
    plan_change::{ChangeEnd, PlanChange},
    price_change::PriceChange,
    subscription::SubscriptionStatus,
};

/// What is needed to say when a new price reaches a subscription.
#[derive(Debug, Clone)]
pub struct Follower {
    pub subscription_id: Uuid,
    pub status: SubscriptionStatus,
    pub rhythm: BillingSchedule,
    /// The last period that is paid for, or that an invoice was made for.
    pub last_no: u32,
    pub pays: Won,
}

/// Locks the next subscriptions, in the order of their ids, that pay one of `amounts` and have no plan change of it yet.
pub async fn lock_batch(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let ids = sqlx::query_scalar!(
        r#"
        select id from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and status <> 'canceled' and id > $5
           and not exists (select from plan_changes change
                            where change.subscription_id = subscriptions.id and change.price_change_id is not null
                              and (change.status = 'pending'
                                   or (change.price_change_id = $4 and change.status <> 'superseded')))
         order by id
         limit $6
           for update
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
        price.id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The facts of these subscriptions, as they are now.
pub async fn of_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Follower>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select id, status, billing_cycle, anchor_on, terms_since_period, terms_since_month, amount,
               greatest(period_no, (select max(period_no) from invoices where subscription_id = subscriptions.id))
                   as "last_no!"
          from subscriptions where id = any ($1) order by id
        "#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Follower {
                subscription_id: row.id,
                status: known("subscriptions", "status", &row.status)?,
                rhythm: BillingSchedule {
                    cycle: known("subscriptions", "billing_cycle", &row.billing_cycle)?,
                    anchor_on: row.anchor_on,
                    from_no: counted("subscriptions", "terms_since_period", row.terms_since_period)?,
                    from_month: counted("subscriptions", "terms_since_month", row.terms_since_month)?,
                },
                last_no: counted("subscriptions", "period_no", row.last_no)?,
                pays: won("subscriptions", "amount", row.amount)?,
            })
        })
        .collect()
}

/// Those of this plan and cycle that are not over, by what they pay: ids in order, after `after`. Locks nothing.
pub async fn ids_batch(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let ids = sqlx::query_scalar!(
        r#"
        select id from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and id > $4
           and (status <> 'canceled' or (activated_at is not null and suspended_at is null and ended_at is null
                                         and current_period_end > $6))
         order by id
         limit $5
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
        after,
        limit,
        crate::domain::calendar::seoul_date(price.created_at),
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The least that a living subscription pays of these amounts.
pub async fn lowest(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
) -> Result<Option<Won>, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let lowest = sqlx::query_scalar!(
        r#"
        select min(amount) from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and status <> 'canceled'
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
    )
    .fetch_one(conn)
    .await?;
    lowest.map(|amount| won("subscriptions", "amount", amount)).transpose()
}

/// Writes the plan changes that are not there yet; a subscription that has one keeps it.
pub async fn insert_missing(
    conn: &mut PgConnection,
    new: &[PlanChange],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let Some(first) = new.first() else { return Ok(0) };
    let ids: Vec<_> = new.iter().map(|change| change.id).collect();
    let subscriptions: Vec<_> = new.iter().map(|change| change.subscription_id).collect();
    let amounts: Vec<_> = new.iter().map(|change| change.from.amount.get()).collect();
    let numbers: Vec<_> = new.iter().map(|change| number(change.effective_no)).collect();
    let dates: Vec<_> = new.iter().map(|change| change.effective_on).collect();
    let done = sqlx::query!(
        r#"
        insert into plan_changes
            (id, subscription_id, price_change_id, from_plan, from_cycle, from_amount, to_plan, to_cycle, to_amount,
             effective_no, effective_on, requested_by, created_at)
        select n.id, n.subscription_id, $6, $7, $8, n.from_amount, $7, $8, $9, n.effective_no, n.effective_on, $10, $11
          from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::date[])
            as n (id, subscription_id, from_amount, effective_no, effective_on)
        on conflict do nothing
        "#,
        &ids,
        &subscriptions,
        &amounts,
        &numbers,
        &dates,
        first.price_change_id,
        first.to.plan,
        <&str>::from(first.to.cycle),
        first.to.amount.get(),
        first.requested_by,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Locks the subscriptions of the next pending changes to this price, and answers the changes.
pub async fn lock_pending(conn: &mut PgConnection, price: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select change.id
          from plan_changes change join subscriptions subscription on subscription.id = change.subscription_id
         where change.price_change_id = $1 and change.status = 'pending'
         order by subscription.id
         limit $2
           for update of subscription
        "#,
        price,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The same of changes to earlier prices of its plan that would come when this one holds.
pub async fn lock_overtaken(
    conn: &mut PgConnection,
    price: &PriceChange,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select change.id
          from plan_changes change join subscriptions subscription on subscription.id = change.subscription_id
         where change.price_change_id in (select id from price_changes
                                           where plan = $1 and cycle = $2 and closed_at is not null)
           and change.status = 'pending' and change.effective_on >= $3
         order by subscription.id
         limit $4
           for update of subscription
        "#,
        price.plan,
        <&str>::from(price.cycle),
        price.effective_from,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The same of changes to this price that come before `until` and whose customers neither agreed nor were ever asked.
pub async fn lock_unasked(
    conn: &mut PgConnection,
    price: Uuid,
    until: NaiveDate,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select change.id
          from plan_changes change join subscriptions subscription on subscription.id = change.subscription_id
         where change.price_change_id = $1 and change.status = 'pending' and change.effective_on < $2
           and change.to_amount > change.from_amount and subscription.status in ('active', 'past_due', 'suspended')
           and not exists (select from consents where consents.plan_change_id = change.id)
           and not exists (select from emails
                            where emails.subscription_id = change.subscription_id and emails.kind = 'consent_request'
                              and emails.status in ('sent', 'failed')
                              and position(replace(change.id::text, '-', '') in emails.unique_key) > 0)
         order by subscription.id
         limit $3
           for update of subscription
        "#,
        price,
        until,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Writes how pending changes ended, all alike; with `unless_agreed`, those to which a consent came meanwhile stay.
pub async fn settle_all(
    conn: &mut PgConnection,
    ids: &[Uuid],
    end: ChangeEnd,
    unless_agreed: bool,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        update plan_changes set status = $2, settled_at = $3
         where id = any ($1) and status = 'pending'
           and not ($4 and exists (select from consents where consents.plan_change_id = plan_changes.id))
        "#,
        ids,
        <&str>::from(end),
        now,
        unless_agreed,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
