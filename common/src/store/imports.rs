//! Brings subscriptions of another system over: which are here already, what stands in the way, and whole batches at once.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// One subscription as it is to be written. Its billing key is sealed already.
#[derive(Debug, Clone, Serialize)]
pub struct Arrival {
    pub id: Uuid,
    pub user_id: Uuid,
    pub plan: String,
    pub billing_cycle: &'static str,
    pub billing_key: String,
    pub customer_key: String,
    /// Won per period.
    pub amount: i32,
    pub status: &'static str,
    pub customer_email: String,
    pub customer_name: String,
    pub anchor_on: NaiveDate,
    pub period_no: i32,
    pub current_period_start: NaiveDate,
    pub current_period_end: NaiveDate,
    pub next_billing_date: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub suspended_at: Option<DateTime<Utc>>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub cancel_reason: Option<String>,
    pub source_id: String,
    pub source_next_billing_date: NaiveDate,
    pub charged_elsewhere_until: NaiveDate,
    /// For the subscription's audit log.
    pub why: String,
}

/// Of these ids of the source, those that an earlier run has brought.
pub async fn known(conn: &mut PgConnection, source_ids: &[String]) -> Result<Vec<String>, StoreError> {
    let rows =
        sqlx::query!("select source_id from imported_subscriptions where source_id = any ($1)", source_ids)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|row| row.source_id).collect())
}

/// Of these subscription ids, those that are taken.
pub async fn taken_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!("select id from subscriptions where id = any ($1)", ids).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Of these users, those with a subscription here that is or may be charged.
pub async fn subscribed_users(conn: &mut PgConnection, users: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select distinct user_id from subscriptions
         where user_id = any ($1) and status in ('active', 'past_due', 'suspended')
        "#,
        users
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// Of these fingerprints, those of billing keys that a subscription here has.
pub async fn registered_keys(
    conn: &mut PgConnection,
    fingerprints: &[String],
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select billing_key_fingerprint as "fingerprint!" from subscriptions
         where billing_key_fingerprint = any ($1)
        "#,
        fingerprints
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.fingerprint).collect())
}

/// One sealed billing key, with its subscription, for each sealing key in use.
pub async fn sealed_samples(conn: &mut PgConnection) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select distinct on (split_part(billing_key, ':', 1)) id, billing_key as "billing_key!"
          from subscriptions where billing_key is not null
         order by split_part(billing_key, ':', 1), created_at desc
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.billing_key)).collect())
}

/// Writes a batch: users, subscriptions, where they came from, and their diaries. What is here already stays as it is.
/// Answers how many were new.
pub async fn insert(
    conn: &mut PgConnection,
    batch: &[Arrival],
    source: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let rows = serde_json::to_value(batch).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let done =
        sqlx::query_file!("src/store/sql/import_batch.sql", rows, source, actor, now).fetch_one(conn).await?;
    Ok(usize::try_from(done.brought).unwrap_or_default())
}
