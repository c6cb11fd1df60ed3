//! What the gateway calls a payment, what only it and we know of it, and the job that moves it on.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Our payment with this key; the captured one, should several attempts have named it.
pub async fn id_of(conn: &mut PgConnection, payment_key: &str) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"
        select id from payments where payment_key = $1
         order by (status in ('completed', 'refunded', 'partially_refunded')) desc, created_at desc
         limit 1
        "#,
        payment_key
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// The secret that came with the captured payment, if one did.
pub async fn secret_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<SecretString>, StoreError> {
    let secret = sqlx::query_scalar!("select toss_secret from payments where id = $1", id)
        .fetch_optional(conn)
        .await?;
    Ok(secret.flatten().map(SecretString::from))
}

/// The job that looks after an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveJob {
    /// It waits until this instant.
    Waiting { job: i64, run_at: DateTime<Utc> },
    /// It is at work, or an operator's.
    Busy,
}

/// The job that will move this invoice on, if it has not been lost.
pub async fn live_job_of(conn: &mut PgConnection, invoice_id: Uuid) -> Result<Option<LiveJob>, StoreError> {
    let row = sqlx::query!(
        r#"
        select id, run_at, state = 'available' as "waits!" from jobs
         where state in ('available', 'running', 'parked')
           and kind in ('charge-subscription', 'confirm-payment')
           and subject->>'invoice' = $1
         order by state = 'available', run_at
         limit 1
        "#,
        invoice_id.to_string(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(
        |row| if row.waits { LiveJob::Waiting { job: row.id, run_at: row.run_at } } else { LiveJob::Busy },
    ))
}
