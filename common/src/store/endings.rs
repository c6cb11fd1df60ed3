//! Ends of subscriptions that are no plain cancel: at once and for good, by an operator; and the cancel that is taken back.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, counted, known, number, one_row, payments};
use crate::domain::{
    calendar::seoul_midnight,
    ending::{Ending, Unused},
    payment::Payment,
};

/// Records it. The schema refuses a second one of the same subscription.
pub async fn insert(conn: &mut PgConnection, new: &Ending, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into subscription_endings (subscription_id, request_key, refund_policy, reason, requested_by, unused_days,
                                          period_days, refund_id, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        new.subscription_id,
        new.request_key,
        <&str>::from(new.policy),
        new.reason,
        new.requested_by,
        number(new.unused.days),
        number(new.unused.of),
        new.refund_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn find(conn: &mut PgConnection, subscription_id: Uuid) -> Result<Option<Ending>, StoreError> {
    let row = sqlx::query!(
        r#"
        select subscription_id, request_key, refund_policy, reason, requested_by, unused_days, period_days, refund_id
          from subscription_endings where subscription_id = $1
        "#,
        subscription_id
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Ending {
        subscription_id: row.subscription_id,
        request_key: row.request_key,
        policy: known("subscription_endings", "refund_policy", &row.refund_policy)?,
        reason: row.reason,
        requested_by: row.requested_by,
        unused: Unused {
            days: counted("subscription_endings", "unused_days", row.unused_days)?,
            of: counted("subscription_endings", "period_days", row.period_days)?,
        },
        refund_id: row.refund_id,
    }))
}

/// No access from now on. Of a canceled subscription only, and never taken back: the schema sees to both.
pub async fn mark_ended(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update subscriptions set ended_at = $2, updated_at = $2 where id = $1 and ended_at is null",
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("end a subscription", &done)
}

/// The payment that a period of a subscription was paid with, unless all of it has gone back.
pub async fn paid_for(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    period_no: u32,
) -> Result<Option<Payment>, StoreError> {
    let row = sqlx::query!(
        r#"
        select payment.id from payments payment join invoices invoice on invoice.id = payment.invoice_id
         where invoice.subscription_id = $1 and invoice.period_no = $2
           and payment.status in ('completed', 'partially_refunded')
        "#,
        subscription_id,
        number(period_no),
    )
    .fetch_optional(&mut *conn)
    .await?;
    match row {
        Some(row) => payments::find(conn, row.id).await,
        None => Ok(None),
    }
}

/// The cancel is taken back: the next charge is due when the paid period ends.
pub async fn resume(
    conn: &mut PgConnection,
    id: Uuid,
    period_end: NaiveDate,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update subscriptions
           set status = 'active', canceled_at = null, cancel_reason = null, next_billing_date = $2, updated_at = $3
         where id = $1 and status = 'canceled'
        "#,
        id,
        seoul_midnight(period_end),
        now,
    )
    .execute(conn)
    .await?;
    one_row("resume", &done)
}
