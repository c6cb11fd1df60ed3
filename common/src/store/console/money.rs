//! Payments and invoices on hold as the console lists them.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::StoreError, Filter};

/// One payment with its customer.
#[derive(Debug, Clone)]
pub struct PaymentRow {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub customer_name: String,
    pub order_id: String,
    pub payment_key: Option<String>,
    pub kind: String,
    pub attempt_no: i32,
    /// Won.
    pub amount: i32,
    pub status: String,
    pub decline_kind: Option<String>,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub toss_trace_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// Newest first. `review` as a state: unknown for so long that a person has to look.
pub async fn payments(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<PaymentRow>, StoreError> {
    let review = filter.state.as_deref() == Some("review");
    let state = filter.state.as_deref().filter(|_| !review);
    let rows = sqlx::query_as!(
        PaymentRow,
        r#"
        select payment.id, payment.subscription_id, coalesce(users.name, subscription.customer_name) as "customer_name!",
               payment.order_id, payment.payment_key, payment.kind, payment.attempt_no, payment.amount, payment.status,
               payment.decline_kind, payment.toss_code, payment.toss_message, payment.toss_trace_id, payment.created_at,
               payment.sent_at, payment.settled_at
          from payments payment
          join subscriptions subscription on subscription.id = payment.subscription_id
          join users on users.id = payment.user_id
         where payment.id >= $1 and payment.id < $2
           and ($3::text is null or payment.status = $3)
           and (not $4 or (payment.status in ('pending', 'unknown') and payment.review_since is not null))
           and ($5::text is null or payment.kind = $5)
           and ($6::text is null or payment.toss_code = $6)
           and ($7::uuid is null or payment.subscription_id = $7)
         order by payment.id desc limit $8
        "#,
        filter.least_id(),
        filter.end_id(),
        state,
        review,
        filter.kind,
        filter.cause,
        filter.subscription_id,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// An invoice that waits for an operator.
#[derive(Debug, Clone)]
pub struct HeldInvoice {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub customer_name: String,
    pub subscription_status: String,
    pub period_no: i32,
    pub period_start: NaiveDate,
    pub period_end: NaiveDate,
    /// Won.
    pub amount: i32,
    pub held_since: Option<DateTime<Utc>>,
}

/// Newest first.
pub async fn held_invoices(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<HeldInvoice>, StoreError> {
    let rows = sqlx::query_as!(
        HeldInvoice,
        r#"
        select invoice.id, invoice.subscription_id, coalesce(users.name, subscription.customer_name) as "customer_name!",
               subscription.status as subscription_status, invoice.period_no, invoice.period_start, invoice.period_end,
               invoice.amount, invoice.held_since
          from invoices invoice
          join subscriptions subscription on subscription.id = invoice.subscription_id
          join users on users.id = subscription.user_id
         where invoice.status = 'open' and invoice.held_since is not null
           and invoice.id >= $1 and invoice.id < $2
           and ($3::uuid is null or invoice.subscription_id = $3)
         order by invoice.id desc limit $4
        "#,
        filter.least_id(),
        filter.end_id(),
        filter.subscription_id,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// One refund with its customer.
#[derive(Debug, Clone)]
pub struct RefundRow {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub customer_name: String,
    pub order_id: String,
    /// Won.
    pub amount: i32,
    pub status: String,
    pub reason: String,
    pub requested_by: String,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// Newest first.
pub async fn refunds(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<RefundRow>, StoreError> {
    let rows = sqlx::query_as!(
        RefundRow,
        r#"
        select refund.id, payment.subscription_id, coalesce(users.name, subscription.customer_name) as "customer_name!",
               payment.order_id, refund.amount, refund.status, refund.reason, refund.requested_by, refund.toss_code,
               refund.toss_message, refund.created_at, refund.settled_at
          from refunds refund
          join payments payment on payment.id = refund.payment_id
          join subscriptions subscription on subscription.id = payment.subscription_id
          join users on users.id = payment.user_id
         where refund.id >= $1 and refund.id < $2
           and ($3::text is null or refund.status = $3)
           and ($4::text is null or refund.toss_code = $4)
           and ($5::uuid is null or payment.subscription_id = $5)
         order by refund.id desc limit $6
        "#,
        filter.least_id(),
        filter.end_id(),
        filter.state,
        filter.cause,
        filter.subscription_id,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// One card registration with its customer. No key of any kind.
#[derive(Debug, Clone)]
pub struct CardRow {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub customer_name: String,
    pub card_number: Option<String>,
    pub status: String,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// Newest first.
pub async fn cards(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<CardRow>, StoreError> {
    let rows = sqlx::query_as!(
        CardRow,
        r#"
        select card.id, card.subscription_id, coalesce(users.name, subscription.customer_name) as "customer_name!",
               card.card_number, card.status, card.toss_code, card.toss_message, card.created_at, card.settled_at
          from card_registrations card
          join subscriptions subscription on subscription.id = card.subscription_id
          join users on users.id = card.user_id
         where card.id >= $1 and card.id < $2
           and ($3::text is null or card.status = $3)
           and ($4::text is null or card.toss_code = $4)
           and ($5::uuid is null or card.subscription_id = $5)
         order by card.id desc limit $6
        "#,
        filter.least_id(),
        filter.end_id(),
        filter.state,
        filter.cause,
        filter.subscription_id,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A difference between the gateway's transactions and ours.
#[derive(Debug, Clone)]
pub struct DiscrepancyRow {
    pub id: Uuid,
    pub date: NaiveDate,
    pub kind: String,
    pub reference: String,
    pub order_id: Option<String>,
    pub payment_key: Option<String>,
    pub subscription_id: Option<Uuid>,
    /// Won.
    pub our_amount: Option<i64>,
    /// Won.
    pub their_amount: Option<i64>,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub resolution: Option<String>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub accepted_by: Option<String>,
    pub acceptance: Option<String>,
}

impl DiscrepancyRow {
    /// `open`, `accepted` or `resolved`.
    pub fn state(&self) -> &'static str {
        match (self.resolved_at, self.accepted_at) {
            (Some(_), _) => "resolved",
            (None, Some(_)) => "accepted",
            (None, None) => "open",
        }
    }
}

/// One of them.
pub async fn discrepancy(conn: &mut PgConnection, id: Uuid) -> Result<Option<DiscrepancyRow>, StoreError> {
    let row = sqlx::query_as!(
        DiscrepancyRow,
        r#"
        select difference.id, date, difference.kind, reference, difference.order_id, difference.payment_key,
               payment.subscription_id as "subscription_id?", our_amount, their_amount, first_seen_at, last_seen_at,
               resolved_at, resolution, accepted_at, accepted_by, acceptance
          from discrepancies difference left join payments payment on payment.id = difference.payment_id
         where difference.id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// Newest first. States: `open`, `resolved`, `accepted`.
pub async fn discrepancies(
    conn: &mut PgConnection,
    filter: &Filter,
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let rows = sqlx::query_as!(
        DiscrepancyRow,
        r#"
        select difference.id, date, difference.kind, reference, difference.order_id, difference.payment_key,
               payment.subscription_id as "subscription_id?", our_amount, their_amount, first_seen_at, last_seen_at,
               resolved_at, resolution, accepted_at, accepted_by, acceptance
          from discrepancies difference left join payments payment on payment.id = difference.payment_id
         where difference.id >= $1 and difference.id < $2
           and ($3::text is null or $3 = case when resolved_at is not null then 'resolved'
                                              when accepted_at is not null then 'accepted' else 'open' end)
           and ($4::text is null or difference.kind = $4)
         order by difference.id desc limit $5
        "#,
        filter.least_id(),
        filter.end_id(),
        filter.state,
        filter.kind,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
