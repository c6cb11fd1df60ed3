//! Money on its way back: recorded before the call, settled after it, never more than was captured.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known, one_row, won};
use crate::domain::{money::Won, refund::Refund};

struct Row {
    id: Uuid,
    payment_id: Uuid,
    amount: i32,
    reason: String,
    requested_by: String,
    idempotency_key: Uuid,
    status: String,
    sent_at: Option<DateTime<Utc>>,
    first_sent_at: Option<DateTime<Utc>>,
    unknown_since: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Refund {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            payment_id: row.payment_id,
            amount: won("refunds", "amount", row.amount)?,
            reason: row.reason,
            requested_by: row.requested_by,
            idempotency_key: row.idempotency_key,
            status: known("refunds", "status", &row.status)?,
            sent_at: row.sent_at,
            first_sent_at: row.first_sent_at,
            unknown_since: row.unknown_since,
        })
    }
}

/// Records that money is to go back. `request_key` names the wish: the same wish twice is one refund (none is answered then).
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
    let row = sqlx::query_as!(
        Row,
        r#"
        select id, payment_id, amount, reason, requested_by, idempotency_key, status, sent_at, first_sent_at, unknown_since
          from refunds where id = $1 for update
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    row.map(Refund::try_from).transpose()
}

/// What has gone back of a payment so far.
pub async fn completed_of(conn: &mut PgConnection, payment_id: Uuid) -> Result<Won, StoreError> {
    let row = sqlx::query!(
        r#"select coalesce(sum(amount), 0)::int as "sum!" from refunds where payment_id = $1 and status = 'completed'"#,
        payment_id
    )
    .fetch_one(conn)
    .await?;
    won("refunds", "amount", row.sum)
}

/// The request is about to leave: from this commit on it may have arrived.
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

/// It went back, at `refunded_at` by the gateway's clock where it said so.
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

/// The gateway refused it for good.
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
           set status = 'failed', toss_code = $2, toss_message = $3, toss_trace_id = coalesce($4, toss_trace_id),
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

/// Nobody knows whether it arrived; the same key is sent again.
pub async fn unknown(
    conn: &mut PgConnection,
    id: Uuid,
    code: Option<&str>,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update refunds
           set status = 'unknown', unknown_since = coalesce(unknown_since, $2), toss_code = $3, toss_message = $4
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
        code,
        message,
    )
    .execute(conn)
    .await?;
    one_row("keep an unknown refund", &done)
}

/// It certainly did not reach the gateway's books: as good as new, under `fresh_key` if the old one is burnt.
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
