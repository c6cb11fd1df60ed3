//! What people read of a subscription: its invoices, attempts, refunds, cards and e-mails as they stand in the tables.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::id::as_subscription_ref;

/// Civil dates are Seoul's; `period_end` is the first day that the invoice does not pay for.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceLine {
    pub id: Uuid,
    #[serde(serialize_with = "as_subscription_ref")]
    pub subscription_id: Uuid,
    pub period_no: i32,
    pub period_start: NaiveDate,
    pub period_end: NaiveDate,
    pub due_on: NaiveDate,
    /// Won.
    pub amount: i32,
    pub status: String,
    pub first_failed_at: Option<DateTime<Utc>>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub held_since: Option<DateTime<Utc>>,
    pub released_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
}

/// One attempt, with what the gateway called it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentLine {
    pub id: Uuid,
    pub invoice_id: Uuid,
    pub period_no: i32,
    pub kind: String,
    pub attempt_no: i32,
    pub order_id: String,
    pub payment_key: Option<String>,
    /// Won.
    pub amount: i32,
    pub status: String,
    pub decline_kind: Option<String>,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub toss_trace_id: Option<String>,
    pub receipt_url: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub unknown_since: Option<DateTime<Utc>>,
    pub review_since: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundLine {
    pub id: Uuid,
    pub payment_id: Uuid,
    /// Won.
    pub amount: i32,
    pub reason: String,
    pub requested_by: String,
    pub status: String,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub toss_trace_id: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When the request last left.
    pub sent_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// A card that the customer registered, and what became of it. Never a key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardLine {
    pub id: Uuid,
    pub status: String,
    /// Masked by the gateway.
    pub card_number: Option<String>,
    /// The attempt that proved it, or was to.
    pub payment_id: Option<Uuid>,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When the request last left.
    pub sent_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailLine {
    pub id: Uuid,
    pub kind: String,
    pub to_address: String,
    pub subject: String,
    pub status: String,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// What it was to become at a renewal, with the consent if one was given.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeLine {
    pub id: Uuid,
    /// The plan's new price that it follows from; none: the customer's own change.
    pub price_change_id: Option<Uuid>,
    pub from_plan: String,
    pub from_cycle: String,
    /// Won.
    pub from_amount: i32,
    pub to_plan: String,
    pub to_cycle: String,
    /// Won.
    pub to_amount: i32,
    pub effective_on: NaiveDate,
    pub status: String,
    pub requested_by: String,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
    pub consented_at: Option<DateTime<Utc>>,
    pub consented_by: Option<String>,
    /// What the customer was shown.
    pub consented_to: Option<String>,
    pub consented_from: Option<String>,
}

/// In the order of their periods.
pub async fn invoices(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Vec<InvoiceLine>, StoreError> {
    let lines = sqlx::query_as!(
        InvoiceLine,
        r#"
        select id, subscription_id, period_no, period_start, period_end, due_on, amount, status, first_failed_at,
               next_attempt_at, held_since, released_at, paid_at, closed_at
          from invoices where subscription_id = $1 order by period_no
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// The invoices that wait for an operator, everybody's, oldest period first.
pub async fn held_invoices(conn: &mut PgConnection) -> Result<Vec<InvoiceLine>, StoreError> {
    let lines = sqlx::query_as!(
        InvoiceLine,
        r#"
        select id, subscription_id, period_no, period_start, period_end, due_on, amount, status, first_failed_at,
               next_attempt_at, held_since, released_at, paid_at, closed_at
          from invoices where status = 'open' and held_since is not null order by period_start, id
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// First to last.
pub async fn payments(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Vec<PaymentLine>, StoreError> {
    let lines = sqlx::query_as!(
        PaymentLine,
        r#"
        select payment.id, invoice_id, invoice.period_no, kind, attempt_no, order_id, payment_key, payment.amount,
               payment.status, decline_kind, toss_code, toss_message, toss_trace_id, receipt_url, payment.created_at,
               sent_at, unknown_since, review_since, payment.paid_at, settled_at
          from payments payment join invoices invoice on invoice.id = payment.invoice_id
         where payment.subscription_id = $1 order by payment.created_at, payment.id
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// First to last.
pub async fn refunds(conn: &mut PgConnection, subscription_id: Uuid) -> Result<Vec<RefundLine>, StoreError> {
    let lines = sqlx::query_as!(
        RefundLine,
        r#"
        select refund.id, payment_id, refund.amount, reason, requested_by, refund.status, refund.toss_code,
               refund.toss_message, refund.toss_trace_id, refund.created_at, refund.sent_at, refund.settled_at
          from refunds refund join payments payment on payment.id = refund.payment_id
         where payment.subscription_id = $1 order by refund.created_at, refund.id
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// First to last.
pub async fn emails(conn: &mut PgConnection, subscription_id: Uuid) -> Result<Vec<EmailLine>, StoreError> {
    let lines = sqlx::query_as!(
        EmailLine,
        r#"
        select id, kind, to_address, subject, status, last_error, created_at, settled_at
          from emails where subscription_id = $1 order by created_at, id
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// First to last.
pub async fn cards(conn: &mut PgConnection, subscription_id: Uuid) -> Result<Vec<CardLine>, StoreError> {
    let lines = sqlx::query_as!(
        CardLine,
        r#"
        select id, status, card_number, payment_id, toss_code, toss_message, created_at, sent_at, settled_at
          from card_registrations where subscription_id = $1 order by created_at, id
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// Pending and past ones, in the order in which they were made.
pub async fn plan_changes(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Vec<ChangeLine>, StoreError> {
    let lines = sqlx::query_as!(
        ChangeLine,
        r#"
        select change.id, price_change_id, from_plan, from_cycle, from_amount, to_plan, to_cycle, to_amount,
               change.effective_on, status, requested_by, change.created_at, settled_at,
               consent.given_at as "consented_at?", consent.given_by as "consented_by?",
               consent.shown_text as "consented_to?", consent.ip as "consented_from?"
          from plan_changes change left join consents consent on consent.plan_change_id = change.id
         where change.subscription_id = $1 order by change.created_at, change.id
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}
