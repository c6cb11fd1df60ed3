//! Table `price_changes`: new prices of plans, and the report of how far each has come. Whoever writes one holds the
//! plan's lock.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};
use crate::domain::calendar::Cycle;
use crate::domain::consent_report::{Answer, Facts, Reply, SubscriptionState, answer};
use crate::domain::money::Won;
use crate::domain::plan_change::ChangeEnd;
use crate::domain::price_change::{PriceChange, Withdrawal};

/// A price change as its table has it, with the columns of its withdrawal.
struct Row {
    id: Uuid,
    plan: String,
    cycle: Cycle,
    old: Won,
    new: Won,
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

impl From<Row> for PriceChange {
    fn from(row: Row) -> Self {
        let withdrawal = row.withdrawn_at.map(|at| Withdrawal {
            at,
            by: row.withdrawn_by.unwrap_or_default(),
            reason: row.withdrawal.unwrap_or_default(),
        });
        Self {
            id: row.id,
            plan: row.plan,
            cycle: row.cycle,
            old: row.old,
            new: row.new,
            effective_from: row.effective_from,
            reprices_plan: row.reprices_plan,
            follows: row.follows,
            requested_by: row.requested_by,
            reason: row.reason,
            created_at: row.created_at,
            closed_at: row.closed_at,
            withdrawal,
        }
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

/// All price changes, or the one with this id; newest first.
pub async fn list(conn: &mut PgConnection, id: Option<Uuid>) -> Result<Vec<PriceChange>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, plan, cycle as "cycle: _", old_amount as "old: _", new_amount as "new: _", effective_from,
               reprices_plan, follows, requested_by, reason, created_at, closed_at, withdrawn_at, withdrawn_by, withdrawal
          from price_changes where $1::uuid is null or id = $1
         order by created_at desc, id desc
        "#,
        id
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PriceChange::from).collect())
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<PriceChange>, StoreError> {
    Ok(list(conn, Some(id)).await?.pop())
}

/// The open price change of this plan and cycle, if there is one.
pub async fn open_of(
    conn: &mut PgConnection,
    plan: &str,
    cycle: Cycle,
) -> Result<Option<PriceChange>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select id, plan, cycle as "cycle: _", old_amount as "old: _", new_amount as "new: _", effective_from,
               reprices_plan, follows, requested_by, reason, created_at, closed_at, withdrawn_at, withdrawn_by, withdrawal
          from price_changes
         where plan = $1 and cycle = $2 and withdrawn_at is null and closed_at is null
        "#,
        plan,
        <&str>::from(cycle),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(PriceChange::from))
}

/// The price changes that may have plan changes to make or to withdraw: all open ones, and withdrawn ones with a pending
/// plan change. Oldest first.
pub async fn to_roll_out(conn: &mut PgConnection) -> Result<Vec<PriceChange>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, plan, cycle as "cycle: _", old_amount as "old: _", new_amount as "new: _", effective_from,
               reprices_plan, follows, requested_by, reason, created_at, closed_at, withdrawn_at, withdrawn_by, withdrawal
          from price_changes
         where (withdrawn_at is null and closed_at is null)
            or (withdrawn_at is not null
                and exists (select from plan_changes change
                             where change.price_change_id = price_changes.id and change.status = 'pending'))
         order by created_at, id
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PriceChange::from).collect())
}

/// Every amount that this price change replaces: its own old amount, and those of the closed price changes before it.
pub async fn old_amounts(conn: &mut PgConnection, of: &PriceChange) -> Result<Vec<Won>, StoreError> {
    let amounts = sqlx::query_scalar!(
        r#"
        select distinct old_amount as "old: Won" from price_changes
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
    Ok(amounts)
}

/// Closes a price change because another one replaces it; `None` opens it again.
pub async fn close(
    conn: &mut PgConnection,
    id: Uuid,
    closed_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let done = sqlx::query!("update price_changes set closed_at = $2 where id = $1", id, closed_at)
        .execute(conn)
        .await?;
    one_row("close a price change", &done)
}

pub async fn withdraw(conn: &mut PgConnection, id: Uuid, withdrawal: &Withdrawal) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update price_changes set withdrawn_at = $2, withdrawn_by = $3, withdrawal = $4
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

/// One subscription that a price change concerns.
#[derive(Debug, Clone)]
pub struct Answered {
    pub subscription_id: Uuid,
    pub customer_email: String,
    pub old: Won,
    pub new: Won,
    pub effective_on: NaiveDate,
    pub asked_at: Option<DateTime<Utc>>,
    pub consented_at: Option<DateTime<Utc>>,
    pub answer: Answer,
}

struct AnswerRow {
    subscription_id: Uuid,
    customer_email: String,
    old: Won,
    new: Won,
    effective_on: NaiveDate,
    end: Option<ChangeEnd>,
    canceled: bool,
    ended_by_it: bool,
    consented_at: Option<DateTime<Utc>>,
    asked_at: Option<DateTime<Utc>>,
    own_change: bool,
}

impl From<AnswerRow> for Answered {
    fn from(row: AnswerRow) -> Self {
        let facts = Facts {
            end: row.end,
            raises: row.new > row.old,
            own_change: row.own_change,
            reply: match (row.consented_at, row.asked_at) {
                (Some(_), _) => Reply::Consented,
                (None, Some(_)) => Reply::Silent,
                (None, None) => Reply::NotAsked,
            },
            subscription: match (row.ended_by_it, row.canceled) {
                (true, _) => SubscriptionState::EndedByChange,
                (false, true) => SubscriptionState::Canceled,
                (false, false) => SubscriptionState::Continues,
            },
        };
        Self {
            subscription_id: row.subscription_id,
            customer_email: row.customer_email,
            old: row.old,
            new: row.new,
            effective_on: row.effective_on,
            asked_at: row.asked_at,
            consented_at: row.consented_at,
            answer: answer(facts),
        }
    }
}

/// Every subscription that has, or had, a plan change to this price, by date and id. A moved change is shown once.
pub async fn answers(conn: &mut PgConnection, price: Uuid) -> Result<Vec<Answered>, StoreError> {
    let rows = sqlx::query_as!(
        AnswerRow,
        r#"
        select change.subscription_id, subscription.customer_email, change.from_amount as "old: _",
               change.to_amount as "new: _", change.effective_on, nullif(change.status, 'pending') as "end: _",
               subscription.canceled_at is not null as "canceled!",
               coalesce(subscription.canceled_at = change.settled_at, false) as "ended_by_it!",
               consent.given_at as "consented_at?", mail.asked_at as "asked_at?",
               exists (select from plan_changes own
                        where own.subscription_id = change.subscription_id and own.price_change_id is null
                          and ((change.status = 'pending' and own.status = 'pending'
                                and own.effective_on <= change.effective_on)
                               or (own.status = 'applied' and own.settled_at = change.settled_at))) as "own_change!"
          from plan_changes change
          join subscriptions subscription on subscription.id = change.subscription_id
          left join consents consent on consent.plan_change_id = change.id
          left join lateral (
               select min(emails.created_at) as asked_at from emails
                where emails.subscription_id = change.subscription_id and emails.kind = 'consent_request'
                  and emails.status <> 'dropped'
                  and position(replace(change.id::text, '-', '') in emails.unique_key) > 0) mail on true
         where change.price_change_id = $1
           and not exists (select from plan_changes newer
                            where newer.price_change_id = $1 and newer.subscription_id = change.subscription_id
                              and (newer.created_at, newer.id) > (change.created_at, change.id))
         order by change.effective_on, change.subscription_id
        "#,
        price
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Answered::from).collect())
}

/// How many subscriptions that are not canceled pay one of these amounts and have no pending plan change to a new price.
pub async fn still_to_come(
    conn: &mut PgConnection,
    price: &PriceChange,
    amounts: &[Won],
) -> Result<i64, StoreError> {
    let amounts: Vec<i32> = amounts.iter().map(|amount| amount.get()).collect();
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from subscriptions
         where plan = $1 and billing_cycle = $2 and amount = any ($3) and status <> 'canceled'
           and not exists (select from plan_changes change
                            where change.subscription_id = subscriptions.id and change.price_change_id is not null
                              and change.status = 'pending')
        "#,
        price.plan,
        <&str>::from(price.cycle),
        &amounts,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// The plan changes of a price change by status, and how many pending ones have a consent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    pub pending: i64,
    pub consented: i64,
    pub applied: i64,
    pub lapsed: i64,
}

pub async fn progress(conn: &mut PgConnection, price: Uuid) -> Result<Progress, StoreError> {
    let progress = sqlx::query_as!(
        Progress,
        r#"
        select count(*) filter (where change.status = 'pending') as "pending!",
               count(consent.id) filter (where change.status = 'pending') as "consented!",
               count(*) filter (where change.status = 'applied') as "applied!",
               count(*) filter (where change.status = 'lapsed') as "lapsed!"
          from plan_changes change left join consents consent on consent.plan_change_id = change.id
         where change.price_change_id = $1
        "#,
        price
    )
    .fetch_one(conn)
    .await?;
    Ok(progress)
}
