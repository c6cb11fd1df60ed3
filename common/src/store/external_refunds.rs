//! Refunds that were made without us and booked afterwards, beside those we asked for.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known, won};
use crate::domain::{external_refund::BookedRefund, refund::Refund};

/// All refunds of a payment, whatever became of them.
pub async fn of_payment(conn: &mut PgConnection, payment_id: Uuid) -> Result<Vec<BookedRefund>, StoreError> {
    let rows = sqlx::query!(
        "select transaction_key, amount, status from refunds where payment_id = $1 order by created_at, id",
        payment_id
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(BookedRefund {
                transaction_key: row.transaction_key,
                amount: won("refunds", "amount", row.amount)?,
                status: known("refunds", "status", &row.status)?,
            })
        })
        .collect()
}

/// Books a refund that the gateway has made, completed from the start. Answers whether it is new: the gateway's name for
/// it is booked once.
pub async fn insert(
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
