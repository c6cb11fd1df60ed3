//! The head of a subscription's page: what it is, whose, and what is to come.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::StoreError, Filter};

/// Never a billing key.
#[derive(Debug, Clone)]
pub struct Head {
    pub id: Uuid,
    pub user_id: Uuid,
    pub customer_name: String,
    pub customer_email: String,
    pub is_erased: bool,
    pub plan: String,
    pub billing_cycle: String,
    /// Won.
    pub amount: i32,
    pub status: String,
    pub card_number: Option<String>,
    pub has_card: bool,
    pub anchor_on: NaiveDate,
    pub period_no: i32,
    pub current_period_start: NaiveDate,
    pub current_period_end: NaiveDate,
    pub next_billing_date: DateTime<Utc>,
    pub charging_paused_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub repair_until: Option<DateTime<Utc>>,
    pub suspended_at: Option<DateTime<Utc>>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub cancel_reason: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
}

pub async fn head(conn: &mut PgConnection, id: Uuid) -> Result<Option<Head>, StoreError> {
    let head = sqlx::query_as!(
        Head,
        r#"
        select subscription.id, user_id, coalesce(users.name, customer_name) as "customer_name!",
               coalesce(users.email, customer_email) as "customer_email!", users.erased_at is not null as "is_erased!",
               plan, billing_cycle, amount, status, card_number, billing_key is not null as "has_card!",
               anchor_on, period_no, current_period_start, current_period_end, next_billing_date,
               charging_paused_at, subscription.created_at, repair_until, suspended_at, canceled_at, cancel_reason,
               ended_at
          from subscriptions subscription join users on users.id = subscription.user_id
         where subscription.id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(head)
}

/// A subscription as it is listed.
#[derive(Debug, Clone)]
pub struct SubscriptionRow {
    pub id: Uuid,
    pub customer_name: String,
    pub customer_email: String,
    pub plan: String,
    pub billing_cycle: String,
    /// Won.
    pub amount: i32,
    pub status: String,
    pub has_card: bool,
    pub next_billing_date: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// Newest first.
pub async fn list(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<SubscriptionRow>, StoreError> {
    let rows = sqlx::query_as!(
        SubscriptionRow,
        r#"
        select subscription.id, coalesce(users.name, customer_name) as "customer_name!",
               coalesce(users.email, customer_email) as "customer_email!", plan, billing_cycle, amount, status,
               billing_key is not null as "has_card!", next_billing_date, subscription.created_at
          from subscriptions subscription join users on users.id = subscription.user_id
         where subscription.id >= $1 and subscription.id < $2
           and ($3::text is null or status = $3)
           and ($4::text is null or plan = $4)
         order by subscription.id desc limit $5
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
