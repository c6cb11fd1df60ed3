//! Table `refunds`: requests by operators and customers, their outcome at the gateway, and refunds made in Toss's dashboard.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, number, one_row};
use crate::domain::external_refund::BookedRefund;
use crate::domain::money::Won;
use crate::domain::payment::PaymentKind;
use crate::domain::refund::{Refund, RefundStatus};
use crate::domain::subscription::PeriodRefunds;

/// Records a refund before it is requested. `request_key` names the request: a repeat writes nothing and returns `None`.
pub async fn insert(
    conn: &mut PgConnection,
    new: &Refund,
    request_key: &str,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, StoreError> {
    let row = sqlx::query!(
        r#"
        insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (payment_id, request_key) do nothing
        returning id
        "#,
        new.id,
        new.payment_id,
        new.amount.get(),
        new.reason,
        new.requested_by,
        request_key,
        new.idempotency_key,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.id))
}

pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Refund>, StoreError> {
    let found = sqlx::query_as!(
        Refund,
        r#"
        select id, payment_id, amount as "amount: _", reason, requested_by, idempotency_key, status as "status: _",
               sent_at, first_sent_at, unknown_since, server_errors
          from refunds where id = $1 for update
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// Returns the kind of the payment that an unsettled refund belongs to.
pub async fn kind_of_payment(conn: &mut PgConnection, id: Uuid) -> Result<Option<PaymentKind>, StoreError> {
    let kind = sqlx::query_scalar!(
        r#"
        select payment.kind as "kind: PaymentKind"
          from refunds refund join payments payment on payment.id = refund.payment_id
         where refund.id = $1 and refund.status in ('pending', 'unknown')
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(kind)
}

/// Returns how much of a payment has been refunded.
pub async fn completed_of(conn: &mut PgConnection, payment_id: Uuid) -> Result<Won, StoreError> {
    let sum = sqlx::query_scalar!(
        r#"
        select coalesce(sum(amount), 0)::int as "sum!: Won" from refunds
         where payment_id = $1 and status = 'completed'
        "#,
        payment_id
    )
    .fetch_one(conn)
    .await?;
    Ok(sum)
}

/// Marks the request as sent. From this commit on it may have reached the gateway.
pub async fn mark_sent(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update refunds set sent_at = $2, first_sent_at = coalesce(first_sent_at, $2)
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("mark a refund sent", &done)
}

/// Marks a refund as made. `refunded_at` is the gateway's time, where its answer has one.
pub async fn complete(
    conn: &mut PgConnection,
    id: Uuid,
    transaction_key: Option<&str>,
    refunded_at: Option<DateTime<Utc>>,
    trace_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update refunds
           set status = 'completed', transaction_key = $2, refunded_at = $5,
               toss_trace_id = coalesce($3, toss_trace_id), settled_at = $4
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        transaction_key,
        trace_id,
        now,
        refunded_at,
    )
    .execute(conn)
    .await?;
    one_row("complete a refund", &done)
}

/// Marks a refund that the gateway refused for good.
pub async fn fail(
    conn: &mut PgConnection,
    id: Uuid,
    code: Option<&str>,
    message: &str,
    trace_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update refunds
           set status = 'failed', toss_code = coalesce($2, toss_code), toss_message = $3, toss_trace_id = coalesce($4, toss_trace_id),
               settled_at = $5
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        code,
        message,
        trace_id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("fail a refund", &done)
}

/// Marks a refund without a known outcome. The same request is sent again under the same key.
pub async fn unknown(
    conn: &mut PgConnection,
    id: Uuid,
    code: Option<&str>,
    message: &str,
    is_server_error: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update refunds
           set status = 'unknown', unknown_since = coalesce(unknown_since, $2), toss_code = coalesce($3, toss_code), toss_message = $4,
               server_errors = server_errors + $5::int
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
        code,
        message,
        i32::from(is_server_error),
    )
    .execute(conn)
    .await?;
    one_row("keep an unknown refund", &done)
}

/// Gives the next request of a refund this key. The old key may repeat a 5xx for as long as the gateway keeps it.
pub async fn renew_key(conn: &mut PgConnection, id: Uuid, fresh_key: Uuid) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update refunds set idempotency_key = $2 where id = $1 and status in ('pending', 'unknown')",
        id,
        fresh_key,
    )
    .execute(conn)
    .await?;
    one_row("renew the key of a refund", &done)
}

/// Resets a refund whose request certainly did not count. `fresh_key` replaces a key that the gateway has used up.
pub async fn not_sent(
    conn: &mut PgConnection,
    id: Uuid,
    code: Option<&str>,
    message: &str,
    fresh_key: Option<Uuid>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update refunds
           set sent_at = null, idempotency_key = coalesce($2, idempotency_key), toss_code = $3, toss_message = $4
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        fresh_key,
        code,
        message,
    )
    .execute(conn)
    .await?;
    one_row("take back a refund that was not made", &done)
}

/// A refund as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub amount: Won,
    pub reason: String,
    pub status: RefundStatus,
    /// Set where Toss refused.
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
}

impl Requested {
    pub fn is_unfinished(&self) -> bool {
        match self.status {
            RefundStatus::Pending | RefundStatus::Unknown => true,
            RefundStatus::Completed | RefundStatus::Failed => false,
        }
    }
}

/// The refunds of a payment that are made or under way. Refused ones are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refunds {
    pub amount: Won,
    pub is_under_way: bool,
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Requested>, StoreError> {
    let found = sqlx::query_as!(
        Requested,
        r#"
        select id, payment_id, amount as "amount: _", reason, status as "status: _", toss_code, toss_message
          from refunds where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// The refund that an earlier request with this key made.
pub async fn of_key(
    conn: &mut PgConnection,
    payment_id: Uuid,
    request_key: &str,
) -> Result<Option<Requested>, StoreError> {
    let row = sqlx::query!(
        "select id from refunds where payment_id = $1 and request_key = $2",
        payment_id,
        request_key
    )
    .fetch_optional(&mut *conn)
    .await?;
    match row {
        Some(row) => find(conn, row.id).await,
        None => Ok(None),
    }
}

pub async fn made_or_under_way(conn: &mut PgConnection, payment_id: Uuid) -> Result<Refunds, StoreError> {
    let refunds = sqlx::query_as!(
        Refunds,
        r#"
        select coalesce(sum(amount), 0)::int as "amount!: _",
               coalesce(bool_or(status in ('pending', 'unknown')), false) as "is_under_way!"
          from refunds where payment_id = $1 and status <> 'failed'
        "#,
        payment_id
    )
    .fetch_one(conn)
    .await?;
    Ok(refunds)
}

/// The gateway's transaction keys of the refunds of a payment that are booked.
pub async fn transactions_of(conn: &mut PgConnection, payment_id: Uuid) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select transaction_key as "transaction_key!" from refunds
         where payment_id = $1 and transaction_key is not null
        "#,
        payment_id
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.transaction_key).collect())
}

/// Whether the payment of one period of a subscription has been refunded.
pub async fn of_period(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    period_no: u32,
) -> Result<PeriodRefunds, StoreError> {
    let row = sqlx::query!(
        r#"
        select coalesce(bool_or(payment.status = 'refunded'), false) as "whole!",
               coalesce(bool_or(exists (
                   select from refunds where payment_id = payment.id and status in ('pending', 'unknown'))), false)
                   as "under_way!"
          from invoices invoice join payments payment on payment.invoice_id = invoice.id
         where invoice.subscription_id = $1 and invoice.period_no = $2
        "#,
        subscription_id,
        number(period_no),
    )
    .fetch_one(conn)
    .await?;
    Ok(match (row.whole, row.under_way) {
        (true, _) => PeriodRefunds::Whole,
        (false, true) => PeriodRefunds::UnderWay,
        (false, false) => PeriodRefunds::Kept,
    })
}

/// All refunds of a payment, in every status.
pub async fn booked_of(conn: &mut PgConnection, payment_id: Uuid) -> Result<Vec<BookedRefund>, StoreError> {
    let booked = sqlx::query_as!(
        BookedRefund,
        r#"
        select transaction_key, amount as "amount: _", status as "status: _"
          from refunds where payment_id = $1 order by created_at, id
        "#,
        payment_id
    )
    .fetch_all(conn)
    .await?;
    Ok(booked)
}

/// Books a refund that was made in the gateway's dashboard, completed from the start. Returns whether it is new: a transaction
/// key is booked once.
pub async fn insert_external(
    conn: &mut PgConnection,
    new: &Refund,
    transaction_key: Option<&str>,
    refunded_at: Option<DateTime<Utc>>,
    request_key: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, status,
                             transaction_key, refunded_at, created_at, settled_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
        on conflict do nothing
        "#,
        new.id,
        new.payment_id,
        new.amount.get(),
        new.reason,
        new.requested_by,
        request_key,
        new.idempotency_key,
        <&str>::from(new.status),
        transaction_key,
        refunded_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
