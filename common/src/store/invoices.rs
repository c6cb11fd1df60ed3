//! Reads and changes invoices: one per subscription and period, whoever asks for it.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::columns::Count;
use super::{StoreError, counted, number, one_row};
use crate::domain::calendar::Period;
use crate::domain::charge::SkipReason;
use crate::domain::dunning::Policy;
use crate::domain::invoice::{Invoice, InvoiceStatus};
use crate::domain::money::Won;

/// An invoice as its table has it, with the three columns of its period.
#[derive(Deserialize)]
pub(super) struct InvoiceRow {
    id: Uuid,
    subscription_id: Uuid,
    period_no: u32,
    period_start: NaiveDate,
    period_end: NaiveDate,
    due_on: NaiveDate,
    amount: Won,
    status: InvoiceStatus,
    first_failed_at: Option<DateTime<Utc>>,
    next_attempt_at: Option<DateTime<Utc>>,
    held_since: Option<DateTime<Utc>>,
    released_at: Option<DateTime<Utc>>,
}

impl From<InvoiceRow> for Invoice {
    fn from(row: InvoiceRow) -> Self {
        Self {
            id: row.id,
            subscription_id: row.subscription_id,
            period: Period { no: row.period_no, start: row.period_start, end: row.period_end },
            due_on: row.due_on,
            amount: row.amount,
            status: row.status,
            first_failed_at: row.first_failed_at,
            next_attempt_at: row.next_attempt_at,
            held_since: row.held_since,
            released_at: row.released_at,
        }
    }
}

/// Writes invoices that do not exist yet; an invoice that exists for its period stays as it is. Returns the ids of the new ones.
pub async fn insert_missing(
    conn: &mut PgConnection,
    new: &[Invoice],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let ids: Vec<_> = new.iter().map(|invoice| invoice.id).collect();
    let subscriptions: Vec<_> = new.iter().map(|invoice| invoice.subscription_id).collect();
    let numbers: Vec<_> = new.iter().map(|invoice| number(invoice.period.no)).collect();
    let starts: Vec<_> = new.iter().map(|invoice| invoice.period.start).collect();
    let ends: Vec<_> = new.iter().map(|invoice| invoice.period.end).collect();
    let dues: Vec<_> = new.iter().map(|invoice| invoice.due_on).collect();
    let amounts: Vec<_> = new.iter().map(|invoice| invoice.amount.get()).collect();
    let held: Vec<_> = new.iter().map(|invoice| invoice.held_since.is_some()).collect();
    let rows = sqlx::query!(
        r#"
        insert into invoices
            (id, subscription_id, period_no, period_start, period_end, due_on, amount, held_since, created_at)
        select n.id, n.subscription_id, n.period_no, n.period_start, n.period_end, n.due_on, n.amount,
               case when n.held then $9::timestamptz end, $9
          from unnest($1::uuid[], $2::uuid[], $3::int[], $4::date[], $5::date[], $6::date[], $7::int[], $8::bool[])
            as n (id, subscription_id, period_no, period_start, period_end, due_on, amount, held)
        on conflict (subscription_id, period_no) do nothing
        returning id
        "#,
        &ids,
        &subscriptions,
        &numbers,
        &starts,
        &ends,
        &dues,
        &amounts,
        &held,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Reads an invoice and locks its row. Callers lock the subscription's row before it.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Invoice>, StoreError> {
    let row = sqlx::query_as!(
        InvoiceRow,
        r#"
        select id, subscription_id, period_no as "period_no: Count", period_start, period_end, due_on,
               amount as "amount: _", status as "status: _", first_failed_at, next_attempt_at, held_since, released_at
          from invoices where id = $1 for update
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Invoice::from))
}

/// The invoices of these subscriptions that are open, or for periods after the paid one, oldest period first.
pub async fn unpaid_of(conn: &mut PgConnection, subscriptions: &[Uuid]) -> Result<Vec<Invoice>, StoreError> {
    let rows = sqlx::query_as!(
        InvoiceRow,
        r#"
        select invoice.id, subscription_id, invoice.period_no as "period_no: Count", period_start, period_end, due_on,
               invoice.amount as "amount: _", invoice.status as "status: _", first_failed_at, next_attempt_at, held_since,
               released_at
          from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
         where subscription_id = any ($1)
           and (invoice.status = 'open' or invoice.period_no > subscription.period_no)
         order by subscription_id, invoice.period_no
        "#,
        subscriptions
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Invoice::from).collect())
}

/// How many tries of these invoices were passed without asking the bank. Those with none are left out.
pub async fn skips_of(
    conn: &mut PgConnection,
    invoices: &[Uuid],
) -> Result<HashMap<Uuid, usize>, StoreError> {
    let rows = sqlx::query!(
        r#"select invoice_id, count(*) as "skips!" from dunning_skips where invoice_id = any ($1) group by invoice_id"#,
        invoices
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.invoice_id, usize::try_from(row.skips).unwrap_or_default())).collect())
}

/// Locks the invoices of a subscription that may still be charged, oldest period first.
pub async fn unsettled_of(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Vec<Invoice>, StoreError> {
    let rows = sqlx::query_as!(
        InvoiceRow,
        r#"
        select id, subscription_id, period_no as "period_no: Count", period_start, period_end, due_on,
               amount as "amount: _", status as "status: _", first_failed_at, next_attempt_at, held_since, released_at
          from invoices
         where subscription_id = $1 and status in ('open', 'uncollectible')
         order by period_no
           for update
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Invoice::from).collect())
}

/// The invoice of one period of a subscription.
pub async fn of_period(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    period_no: u32,
) -> Result<Option<Uuid>, StoreError> {
    let row = sqlx::query!(
        "select id from invoices where subscription_id = $1 and period_no = $2",
        subscription_id,
        number(period_no)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.id))
}

/// Moves the first period to other days. The schema refuses to move a later or settled one.
pub async fn move_first_period(conn: &mut PgConnection, id: Uuid, period: Period) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update invoices set period_start = $2, period_end = $3, due_on = $2 where id = $1 and period_no = 0",
        id,
        period.start,
        period.end,
    )
    .execute(conn)
    .await?;
    one_row("move the first period", &done)
}

pub async fn mark_paid(conn: &mut PgConnection, id: Uuid, paid_at: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update invoices
           set status = 'paid', paid_at = $2, closed_at = $2, next_attempt_at = null, held_since = null
         where id = $1 and status <> 'paid'
        "#,
        id,
        paid_at,
    )
    .execute(conn)
    .await?;
    one_row("mark an invoice paid", &done)
}

/// Closes an invoice: as void, or as uncollectible when the dunning schedule is used up.
pub async fn close(
    conn: &mut PgConnection,
    id: Uuid,
    status: InvoiceStatus,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update invoices set status = $2, closed_at = $3, next_attempt_at = null where id = $1",
        id,
        <&str>::from(status),
        now,
    )
    .execute(conn)
    .await?;
    one_row("close an invoice", &done)
}

/// Schedules the next try of the dunning schedule.
pub async fn schedule_retry(
    conn: &mut PgConnection,
    id: Uuid,
    next_attempt_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update invoices set next_attempt_at = $2, first_failed_at = coalesce(first_failed_at, $3)
         where id = $1 and status = 'open'
        "#,
        id,
        next_attempt_at,
        now,
    )
    .execute(conn)
    .await?;
    one_row("schedule the next try", &done)
}

/// Puts an invoice on hold: an operator decides whether it is charged.
pub async fn hold(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update invoices set held_since = $2, released_at = null, next_attempt_at = null where id = $1 and status = 'open'",
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("hold an invoice", &done)
}

/// Reopens the invoices on hold that a cancel at `canceled_at` closed.
pub async fn reopen_held(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    canceled_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update invoices set status = 'open', closed_at = null
         where subscription_id = $1 and status = 'void' and held_since is not null and closed_at = $2
        "#,
        subscription_id,
        canceled_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a later period has been billed.
pub async fn has_later(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    period_no: u32,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"
        select exists (select from invoices
                        where subscription_id = $1 and period_no > $2 and status <> 'void') as "later!"
        "#,
        subscription_id,
        number(period_no),
    )
    .fetch_one(conn)
    .await?;
    Ok(found)
}

/// Takes an invoice off hold, so that it is charged whatever period it is for.
pub async fn release(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update invoices set held_since = null, released_at = $2
         where id = $1 and status = 'open' and held_since is not null
        "#,
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("release a held invoice", &done)
}

/// The subscription of an invoice, so that callers can lock it before the invoice.
pub async fn subscription_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    let row =
        sqlx::query!("select subscription_id from invoices where id = $1", id).fetch_optional(conn).await?;
    Ok(row.map(|row| row.subscription_id))
}

/// Sets the invoice's dunning schedule to `current` unless an earlier decline has set it. Returns the one that holds.
pub async fn pin_policy(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    current: &Policy,
) -> Result<Policy, StoreError> {
    let days: Vec<i32> = current.retry_days.iter().copied().map(number).collect();
    let pinned = sqlx::query_scalar!(
        r#"
        update invoices set retry_days = coalesce(retry_days, $2) where id = $1
        returning retry_days as "retry_days!"
        "#,
        invoice_id,
        &days,
    )
    .fetch_one(conn)
    .await?;
    let retry_days =
        pinned.into_iter().map(|days| counted("invoices", "retry_days", days)).collect::<Result<_, _>>()?;
    Ok(Policy { retry_days })
}

pub async fn count_skips(conn: &mut PgConnection, invoice_id: Uuid) -> Result<usize, StoreError> {
    let row =
        sqlx::query!(r#"select count(*) as "skips!" from dunning_skips where invoice_id = $1"#, invoice_id)
            .fetch_one(conn)
            .await?;
    Ok(usize::try_from(row.skips).unwrap_or_default())
}

/// Records that this try of the dunning schedule (1-based) was skipped. A repeat changes nothing.
pub async fn record_skip(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    step: usize,
    reason: SkipReason,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into dunning_skips (invoice_id, step, reason, skipped_at) values ($1, $2, $3, $4)
        on conflict (invoice_id, step) do nothing
        "#,
        invoice_id,
        i32::try_from(step).unwrap_or(i32::MAX),
        reason.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
