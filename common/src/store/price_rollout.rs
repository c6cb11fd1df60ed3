//! The plan changes that follow from a new price. `affected_by_price_change` says in SQL whom it affects from which renewal;
//! the changes are made by one statement per batch, under the locks of its subscriptions.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::money::Won;
use crate::domain::plan_change::ChangeEnd;
use crate::domain::price_change::{Dates, PriceChange};

/// A subscription that a roll-out concerns, and its plan change; none where one is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concerned {
    pub subscription_id: Uuid,
    pub change_id: Option<Uuid>,
}

/// The next affected subscriptions after `after`, in the order of their ids, that are charged at present and have no plan
/// change to a new price yet.
pub async fn affected(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Concerned>, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let concerned = sqlx::query_as!(
        Concerned,
        r#"
        select id as subscription_id, null::uuid as "change_id?" from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and id > $5
           -- The others follow once they are charged again: begun, revived by a new card, or resumed.
           and status in ('active', 'past_due')
           and not exists (select from plan_changes change
                            where change.subscription_id = subscriptions.id and change.price_change_id is not null
                              and (change.status = 'pending'
                                   or (change.price_change_id = $4 and change.status <> 'superseded')))
         order by id
         limit $6
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
    Ok(concerned)
}

/// Whether the price still stands. It stands until the caller's transaction ends, too.
pub async fn stands(conn: &mut PgConnection, price: Uuid) -> Result<bool, StoreError> {
    let stands = sqlx::query_scalar!(
        r#"
        select withdrawn_at is null and closed_at is null as "stands!" from price_changes where id = $1 for share
        "#,
        price,
    )
    .fetch_one(conn)
    .await?;
    Ok(stands)
}

/// Writes the plan changes of these subscriptions, whose rows are locked. Returns how many are new.
pub async fn insert_changes(
    conn: &mut PgConnection,
    price: &PriceChange,
    subscriptions: &[Uuid],
    dates: Dates,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    // A statement of its own after the locks: it sees what was billed while the locks were waited for.
    let done = sqlx::query!(
        r#"
        insert into plan_changes
            (id, subscription_id, price_change_id, from_plan, from_cycle, from_amount, to_plan, to_cycle, to_amount,
             effective_no, effective_on, requested_by, created_at)
        select gen_random_uuid(), affected.subscription_id, $1, $5, $6, affected.from_amount, $5, $6, $7,
               affected.effective_no, affected.effective_on, $8, $9
          from affected_by_price_change($1, $3, $4) affected
         where affected.subscription_id = any ($2) and affected.status in ('active', 'past_due')
        on conflict do nothing
        "#,
        price.id,
        subscriptions,
        dates.today,
        dates.first_raise_on,
        price.plan,
        <&str>::from(price.cycle),
        price.new.get(),
        price.requested_by,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How many subscriptions pay the new price from one date on, as things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateForecast {
    pub date: NaiveDate,
    pub subscriptions: i64,
    pub need_a_consent: i64,
}

/// By the date of the first charge at the new price.
pub async fn forecast(
    conn: &mut PgConnection,
    price: &PriceChange,
    dates: Dates,
) -> Result<Vec<DateForecast>, StoreError> {
    let forecast = sqlx::query_as!(
        DateForecast,
        r#"
        select effective_on as "date!", count(*) as "subscriptions!",
               count(*) filter (where from_amount < $4) as "need_a_consent!"
          from affected_by_price_change($1, $2, $3)
         where status in ('active', 'past_due')
         group by effective_on order by effective_on
        "#,
        price.id,
        dates.today,
        dates.first_raise_on,
        price.new.get(),
    )
    .fetch_all(conn)
    .await?;
    Ok(forecast)
}

/// How many subscriptions pay an old price and are not charged at present: not begun yet, suspended, or canceled with a paid
/// period left on `today`. They are affected if they go on.
pub async fn may_come_later(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
    today: NaiveDate,
) -> Result<i64, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3)
           and (status in ('incomplete', 'suspended')
                or (status = 'canceled' and activated_at is not null and suspended_at is null and ended_at is null
                    and current_period_end > $4))
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
        today,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// The lowest of these amounts that a subscription pays which is not canceled.
pub async fn lowest(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
) -> Result<Option<Won>, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let lowest = sqlx::query_scalar!(
        r#"
        select min(amount) as "lowest: Won" from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and status <> 'canceled'
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
    )
    .fetch_one(conn)
    .await?;
    Ok(lowest)
}

/// The next subscriptions after `after`, in the order of their ids, with a pending change to this price.
pub async fn pending(
    conn: &mut PgConnection,
    price: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Concerned>, StoreError> {
    let concerned = sqlx::query_as!(
        Concerned,
        r#"
        select subscription_id, id as "change_id?" from plan_changes
         where price_change_id = $1 and status = 'pending' and subscription_id > $2
         order by subscription_id
         limit $3
        "#,
        price,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(concerned)
}

/// As [`pending`], for changes to earlier prices of the plan that would come on this price's date or later.
pub async fn superseded(
    conn: &mut PgConnection,
    price: &PriceChange,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Concerned>, StoreError> {
    let concerned = sqlx::query_as!(
        Concerned,
        r#"
        select subscription_id, id as "change_id?" from plan_changes
         where price_change_id in (select id from price_changes
                                    where plan = $1 and cycle = $2 and closed_at is not null)
           and status = 'pending' and effective_on >= $3 and subscription_id > $4
         order by subscription_id
         limit $5
        "#,
        price.plan,
        <&str>::from(price.cycle),
        price.effective_from,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(concerned)
}

/// As [`pending`], for changes to this price that come before `until` and whose customers have neither consented nor been
/// asked.
pub async fn unnotified(
    conn: &mut PgConnection,
    price: Uuid,
    until: NaiveDate,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Concerned>, StoreError> {
    let concerned = sqlx::query_as!(
        Concerned,
        r#"
        select change.subscription_id, change.id as "change_id?"
          from plan_changes change join subscriptions subscription on subscription.id = change.subscription_id
         where change.price_change_id = $1 and change.status = 'pending' and change.effective_on < $2
           and change.to_amount > change.from_amount and subscription.status in ('active', 'past_due', 'suspended')
           and not exists (select from consents where consents.plan_change_id = change.id)
           and not exists (select from emails
                            where emails.subscription_id = change.subscription_id and emails.kind = 'consent_request'
                              and emails.status in ('sent', 'failed')
                              and position(replace(change.id::text, '-', '') in emails.unique_key) > 0)
           and change.subscription_id > $3
         order by change.subscription_id
         limit $4
        "#,
        price,
        until,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(concerned)
}

/// Ends these pending changes. With `unless_agreed`, changes that got a consent meanwhile stay pending.
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
