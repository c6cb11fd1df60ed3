//! The figures of the page Today.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::StoreError;
use crate::jobs::{ChargeSubscription, Job};

/// How the day stands. Amounts in won.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Renewals of today that have not been billed yet.
    pub due: i64,
    pub due_amount: i64,
    pub charged: i64,
    pub charged_amount: i64,
    pub declined: i64,
    pub declined_amount: i64,
    pub unknown: i64,
    pub needs_review: i64,
    pub on_hold: i64,
    pub on_hold_amount: i64,
    pub past_due: i64,
    pub suspended: i64,
    pub discrepancies: i64,
    pub failed_emails: i64,
    pub parked_jobs: i64,
    pub failed_webhooks: i64,
    pub failed_events: i64,
}

/// `today` and `tomorrow` are the midnights in Seoul around now.
pub async fn figures(
    conn: &mut PgConnection,
    today: DateTime<Utc>,
    tomorrow: DateTime<Utc>,
) -> Result<Figures, StoreError> {
    let row = sqlx::query_as!(
        Figures,
        r#"
        select due.n as "due!", due.won as "due_amount!", charged.n as "charged!", charged.won as "charged_amount!",
               declined.n as "declined!", declined.won as "declined_amount!", unfinished.unknown as "unknown!",
               unfinished.review as "needs_review!", held.n as "on_hold!", held.won as "on_hold_amount!",
               late.past_due as "past_due!", late.suspended as "suspended!",
               (select count(*) from discrepancies where resolved_at is null and accepted_at is null) as "discrepancies!",
               (select count(*) from emails where status = 'failed') as "failed_emails!",
               (select count(*) from jobs where state = 'parked') as "parked_jobs!",
               (select count(*) from webhook_events_in where state = 'failed') as "failed_webhooks!",
               (select count(*) from webhook_deliveries where state = 'failed') as "failed_events!"
          from (select count(*) as n, coalesce(sum(amount), 0)::bigint as won from subscriptions
                 where status = 'active' and next_billing_date < $2 and charging_paused_at is null) due,
               (select count(*) as n, coalesce(sum(amount), 0)::bigint as won from payments
                 where paid_at >= $1 and paid_at < $2) charged,
               (select count(*) as n, coalesce(sum(amount), 0)::bigint as won from payments
                 where status = 'failed' and decline_kind is not null and settled_at >= $1 and settled_at < $2) declined,
               (select count(*) filter (where status = 'unknown') as unknown,
                       count(*) filter (where review_since is not null) as review
                  from payments where status in ('pending', 'unknown')) unfinished,
               (select count(*) as n, coalesce(sum(amount), 0)::bigint as won from invoices
                 where status = 'open' and held_since is not null) held,
               (select count(*) filter (where status = 'past_due') as past_due,
                       count(*) filter (where status = 'suspended') as suspended
                  from subscriptions where status in ('past_due', 'suspended')) late
        "#,
        today,
        tomorrow,
    )
    .fetch_one(conn)
    .await?;
    Ok(row)
}

/// How far today's renewals are.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// First tries that have an outcome.
    pub settled: i64,
    /// Of these, within the last minute.
    pub settled_last_minute: i64,
    /// Charge jobs that are due or running.
    pub in_queue: i64,
}

pub async fn progress(
    conn: &mut PgConnection,
    today: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Progress, StoreError> {
    let row = sqlx::query_as!(
        Progress,
        r#"
        select count(*) as "settled!",
               count(*) filter (where settled_at > $2::timestamptz - interval '1 minute') as "settled_last_minute!",
               (select count(*) from jobs where kind = $3 and state = 'available' and due_at <= $2)
                 + (select count(*) from jobs where kind = $3 and state = 'running') as "in_queue!"
          from payments where kind = 'renewal' and attempt_no = 1 and settled_at >= $1
        "#,
        today,
        now,
        ChargeSubscription::KIND,
    )
    .fetch_one(conn)
    .await?;
    Ok(row)
}

/// The job of a kind that has been due for longest.
#[derive(Debug, Clone)]
pub struct OldestDue {
    pub kind: String,
    pub run_at: DateTime<Utc>,
    pub due: i64,
}

/// Per kind with due jobs.
pub async fn oldest_due(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<OldestDue>, StoreError> {
    let rows = sqlx::query_as!(
        OldestDue,
        r#"
        select kind as "kind!", min(run_at) as "run_at!", count(*) as "due!"
          from jobs where state = 'available' and due_at <= $1
         group by kind order by min(run_at), kind
        "#,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
