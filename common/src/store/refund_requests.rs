//! Refunds as those see them who ask for them: what was asked under which key, what is left, what became of it.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known, number, won};
use crate::domain::{money::Won, refund::RefundStatus, subscription::PeriodRefunds};

/// A refund as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub amount: Won,
    pub reason: String,
    pub status: RefundStatus,
    /// Toss's, where it refused.
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

/// What has been asked back of a payment, refused wishes left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub amount: Won,
    pub is_under_way: bool,
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Requested>, StoreError> {
    let row = sqlx::query!(
        "select id, payment_id, amount, reason, status, toss_code, toss_message from refunds where id = $1",
        id
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Requested {
        id: row.id,
        payment_id: row.payment_id,
        amount: won("refunds", "amount", row.amount)?,
        reason: row.reason,
        status: known("refunds", "status", &row.status)?,
        toss_code: row.toss_code,
        toss_message: row.toss_message,
    }))
}

/// The refund that was asked for under this key before.
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

pub async fn asked_of(conn: &mut PgConnection, payment_id: Uuid) -> Result<Asked, StoreError> {
    let row = sqlx::query!(
        r#"
        select coalesce(sum(amount), 0)::int as "amount!",
               coalesce(bool_or(status in ('pending', 'unknown')), false) as "is_under_way!"
          from refunds where payment_id = $1 and status <> 'failed'
        "#,
        payment_id
    )
    .fetch_one(conn)
    .await?;
    Ok(Asked { amount: won("refunds", "amount", row.amount)?, is_under_way: row.is_under_way })
}

/// The gateway's names for the refunds of a payment that are booked.
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

/// What has become of the money that paid for one period of a subscription.
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
