//! What operators say became of payments that need review. A claim settles nothing by itself: the worker asks the gateway.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};
use crate::domain::claim::{Claim, ClaimState, GatewayAnswer};

/// A row of `payment_claims`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRow {
    pub id: Uuid,
    pub payment_id: Uuid,
    /// `paid` or `not_paid`.
    pub claim: String,
    pub payment_key: Option<String>,
    pub proposed_by: String,
    pub proposed_at: DateTime<Utc>,
    pub reason: String,
    pub agreed_by: Option<String>,
    pub agreed_at: Option<DateTime<Utc>>,
    /// `checking`, `needs_agreement`, `confirmed` or `refused`.
    pub state: String,
    /// `paid`, `not_paid` or `cannot_tell`; null until it was asked.
    pub gateway_answer: Option<String>,
    pub finding: Option<String>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// A payment that needs review, with its open claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentInReview {
    pub payment_id: Uuid,
    #[serde(serialize_with = "crate::id::as_subscription_ref")]
    pub subscription_id: Uuid,
    pub order_id: String,
    /// Won.
    pub amount: i32,
    pub sent_at: Option<DateTime<Utc>>,
    pub review_since: DateTime<Utc>,
    /// The gateway's last words.
    pub message: Option<String>,
    pub claim: Option<String>,
    pub claim_state: Option<String>,
    pub proposed_by: Option<String>,
}

/// One claim to record.
#[derive(Debug, Clone, Copy)]
pub struct NewClaim<'a> {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub claim: Claim,
    /// Only with a claim that it was paid.
    pub payment_key: Option<&'a str>,
    pub proposed_by: &'a str,
    pub reason: &'a str,
}

pub async fn insert(
    conn: &mut PgConnection,
    new: &NewClaim<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into payment_claims (id, payment_id, claim, payment_key, proposed_by, proposed_at, reason)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        new.id,
        new.payment_id,
        <&str>::from(new.claim),
        new.payment_key,
        new.proposed_by,
        now,
        new.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<ClaimRow>, StoreError> {
    let row = sqlx::query_as!(
        ClaimRow,
        r#"
        select id, payment_id, claim, payment_key, proposed_by, proposed_at, reason, agreed_by, agreed_at, state,
               gateway_answer, finding, settled_at
          from payment_claims where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// The claim on a payment that has not been settled.
pub async fn open_of(conn: &mut PgConnection, payment_id: Uuid) -> Result<Option<ClaimRow>, StoreError> {
    let row = sqlx::query_as!(
        ClaimRow,
        r#"
        select id, payment_id, claim, payment_key, proposed_by, proposed_at, reason, agreed_by, agreed_at, state,
               gateway_answer, finding, settled_at
          from payment_claims where payment_id = $1 and state in ('checking', 'needs_agreement')
        "#,
        payment_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// First to last.
pub async fn of_payment(conn: &mut PgConnection, payment_id: Uuid) -> Result<Vec<ClaimRow>, StoreError> {
    let rows = sqlx::query_as!(
        ClaimRow,
        r#"
        select id, payment_id, claim, payment_key, proposed_by, proposed_at, reason, agreed_by, agreed_at, state,
               gateway_answer, finding, settled_at
          from payment_claims where payment_id = $1 order by proposed_at, id
        "#,
        payment_id
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A second operator agrees: the gateway is asked once more. The schema refuses the one who proposed it.
pub async fn agree(
    conn: &mut PgConnection,
    id: Uuid,
    agreed_by: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payment_claims set agreed_by = $2, agreed_at = $3, state = 'checking'
         where id = $1 and state = 'needs_agreement'
        "#,
        id,
        agreed_by,
        now,
    )
    .execute(conn)
    .await?;
    one_row("agree to a claim", &done)
}

/// What the gateway answered, and what becomes of the claim.
pub async fn record_answer(
    conn: &mut PgConnection,
    id: Uuid,
    (answer, state): (GatewayAnswer, ClaimState),
    finding: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payment_claims
           set gateway_answer = $2, state = $3::text, finding = $4,
               settled_at = case when $3::text in ('confirmed', 'refused') then $5::timestamptz end
         where id = $1 and state = 'checking'
        "#,
        id,
        <&str>::from(answer),
        <&str>::from(state),
        finding,
        now,
    )
    .execute(conn)
    .await?;
    one_row("record the answer to a claim", &done)
}

/// The payments that need review, oldest first.
pub async fn payments_in_review(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<PaymentInReview>, StoreError> {
    let rows = sqlx::query_as!(
        PaymentInReview,
        r#"
        select payment.id as payment_id, payment.subscription_id, payment.order_id, payment.amount, payment.sent_at,
               payment.review_since as "review_since!", payment.toss_message as message,
               claim.claim as "claim?", claim.state as "claim_state?", claim.proposed_by as "proposed_by?"
          from payments payment
          left join payment_claims claim on claim.payment_id = payment.id
                                        and claim.state in ('checking', 'needs_agreement')
         where payment.status = 'unknown' and payment.review_since is not null
         order by payment.review_since, payment.id limit $1
        "#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
