//! Unfinished rows that no live job looks after any more: what the sweep finds and starts again.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{invoice::InvoiceStatus, payment::PaymentKind};

/// An invoice with something left to do: an unfinished attempt, or a try that is due.
#[derive(Debug, Clone)]
pub struct StrandedInvoice {
    pub invoice_id: Uuid,
    pub subscription_id: Uuid,
    /// The unfinished first payment, if it is one.
    pub first_payment_id: Option<Uuid>,
    pub first_order_id: Option<String>,
}

/// Open invoices that should have moved before `before`, without a waiting or running job of their own.
pub async fn stranded_invoices(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StrandedInvoice>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select invoice.id, invoice.subscription_id, first.id as "first_id?", first.order_id as "first_order_id?"
          from invoices invoice
          left join payments first on first.invoice_id = invoice.id and first.kind = $3
                                  and first.status in ('pending', 'unknown')
         where invoice.status = $4 and invoice.held_since is null
           and (first.id is null or first.created_at < $1)
           and coalesce(invoice.next_attempt_at, invoice.created_at) < $1
           and (first.id is not null or invoice.period_no > 0)
           and not exists (
               select from jobs
                where jobs.state in ('available', 'running', 'parked')
                  and jobs.kind in ('charge-subscription', 'confirm-payment')
                  and jobs.subject->>'invoice' = invoice.id::text)
         order by invoice.created_at
         limit $2
        "#,
        before,
        limit,
        <&str>::from(PaymentKind::First),
        <&str>::from(InvoiceStatus::Open),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| StrandedInvoice {
            invoice_id: row.id,
            subscription_id: row.subscription_id,
            first_payment_id: row.first_id,
            first_order_id: row.first_order_id,
        })
        .collect())
}

/// Queued e-mails written before `before` without a waiting or running job.
pub async fn stranded_emails(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select email.id, email.subscription_id from emails email
         where email.status = 'queued' and email.created_at < $1
           and not exists (
               select from jobs
                where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'send-email'
                  and jobs.subject->>'email' = email.id::text)
         order by email.created_at
         limit $2
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.subscription_id)).collect())
}

/// Refunds under way since before `before` without a waiting or running job: id, subscription.
pub async fn stranded_refunds(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select refund.id, payment.subscription_id
          from refunds refund join payments payment on payment.id = refund.payment_id
         where refund.status in ('pending', 'unknown') and refund.created_at < $1
           and not exists (
               select from jobs
                where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'refund-payment'
                  and jobs.subject->>'refund' = refund.id::text)
         order by refund.created_at
         limit $2
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.subscription_id)).collect())
}

/// Subscriptions whose first payment should have been made before `before`, without a waiting or running job.
pub async fn stranded_incomplete(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select subscription.id from subscriptions subscription
         where subscription.status = 'incomplete' and subscription.repair_until < $1
           and not exists (
               select from jobs
                where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'end-incomplete-subscription'
                  and jobs.subject->>'incomplete' = subscription.id::text)
         order by subscription.repair_until
         limit $2
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
