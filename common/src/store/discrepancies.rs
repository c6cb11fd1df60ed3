//! What comparing the books found: a row per discrepancy and a row per run. Neither is ever deleted.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};
use crate::{domain::reconcile::Discrepancy, id::new_id};

/// A discrepancy as people read it. Amounts in won.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscrepancyRow {
    pub id: Uuid,
    /// The civil day in Seoul on which the money moved.
    pub date: NaiveDate,
    pub kind: String,
    pub reference: String,
    pub order_id: Option<String>,
    pub payment_key: Option<String>,
    pub transaction_key: Option<String>,
    pub payment_id: Option<Uuid>,
    pub refund_id: Option<Uuid>,
    pub our_amount: Option<i64>,
    pub their_amount: Option<i64>,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub resolution: Option<String>,
    /// Who accepts the discrepancy as it is, and why.
    pub accepted_by: Option<String>,
    pub acceptance: Option<String>,
}

/// A finished comparison of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub id: Uuid,
    pub date: NaiveDate,
    pub job_id: i64,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    /// Rows of the gateway.
    pub captures: i32,
    pub refunds: i32,
    /// Rows of ours.
    pub payments: i32,
    pub our_refunds: i32,
    pub discrepancies_open: i32,
    pub discrepancies_new: i32,
    pub discrepancies_ended: i32,
}

/// A discrepancy as it was written down: its row, and whether this run is the first to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    pub id: Uuid,
    pub is_new: bool,
    /// A person knows of it.
    pub is_accepted: bool,
}

/// Writes a discrepancy down as seen now, open again if it had been resolved. Who accepted it accepted these amounts only.
pub async fn record(
    conn: &mut PgConnection,
    date: NaiveDate,
    found: &Discrepancy,
    now: DateTime<Utc>,
) -> Result<Recorded, StoreError> {
    let row = sqlx::query!(
        r#"
        insert into discrepancies as seen
            (id, date, kind, reference, order_id, payment_key, transaction_key, payment_id, refund_id, our_amount,
             their_amount, first_seen_at, last_seen_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        on conflict on constraint discrepancies_once do update
           set last_seen_at = excluded.last_seen_at, resolved_at = null, resolution = null,
               payment_id = excluded.payment_id, refund_id = excluded.refund_id,
               our_amount = excluded.our_amount, their_amount = excluded.their_amount,
               (accepted_at, accepted_by, acceptance) = (
                   select seen.accepted_at, seen.accepted_by, seen.acceptance
                    where (seen.our_amount, seen.their_amount)
                          is not distinct from (excluded.our_amount, excluded.their_amount))
        returning id, first_seen_at = last_seen_at as "is_new!", accepted_at is not null as "is_accepted!"
        "#,
        new_id(now),
        date,
        <&str>::from(found.kind),
        found.reference,
        found.order_id,
        found.payment_key,
        found.transaction_key,
        found.payment_id,
        found.refund_id,
        found.our_amount,
        found.their_amount,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(Recorded { id: row.id, is_new: row.is_new, is_accepted: row.is_accepted })
}

/// A person accepts an open discrepancy as it is.
pub async fn accept(
    conn: &mut PgConnection,
    id: Uuid,
    by: &str,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Option<DiscrepancyRow>, StoreError> {
    let line = sqlx::query_as!(
        DiscrepancyRow,
        r#"
        update discrepancies set accepted_at = $2, accepted_by = $3, acceptance = $4
         where id = $1 and resolved_at is null
        returning id, date, kind, reference, order_id, payment_key, transaction_key, payment_id, refund_id, our_amount,
                  their_amount, first_seen_at, last_seen_at, resolved_at, resolution, accepted_by, acceptance
        "#,
        id,
        now,
        by,
        why,
    )
    .fetch_optional(conn)
    .await?;
    Ok(line)
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<DiscrepancyRow>, StoreError> {
    let line = sqlx::query_as!(
        DiscrepancyRow,
        r#"
        select id, date, kind, reference, order_id, payment_key, transaction_key, payment_id, refund_id, our_amount,
               their_amount, first_seen_at, last_seen_at, resolved_at, resolution, accepted_by, acceptance
          from discrepancies where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(line)
}

/// The cause of a discrepancy is gone, and how.
pub async fn resolve(
    conn: &mut PgConnection,
    id: Uuid,
    resolution: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update discrepancies set resolved_at = $2, resolution = $3 where id = $1 and resolved_at is null",
        id,
        now,
        resolution,
    )
    .execute(conn)
    .await?;
    one_row("resolve a discrepancy", &done)
}

/// Resolves the discrepancies of a day that were last seen before `since`. Answers how many.
pub async fn resolve_unseen(
    conn: &mut PgConnection,
    date: NaiveDate,
    since: DateTime<Utc>,
    resolution: &str,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        update discrepancies set resolved_at = $3, resolution = $4
         where date = $1 and resolved_at is null and last_seen_at < $2
        "#,
        date,
        since,
        now,
        resolution,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How many discrepancies of a day wait for somebody.
pub async fn count_open(conn: &mut PgConnection, date: NaiveDate) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from discrepancies
         where date = $1 and resolved_at is null and accepted_at is null
        "#,
        date
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

pub async fn insert_run(conn: &mut PgConnection, run: &Run) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into reconciliation_runs
            (id, date, job_id, started_at, finished_at, captures, refunds, payments, our_refunds, discrepancies_open,
             discrepancies_new, discrepancies_ended)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        "#,
        run.id,
        run.date,
        run.job_id,
        run.started_at,
        run.finished_at,
        run.captures,
        run.refunds,
        run.payments,
        run.our_refunds,
        run.discrepancies_open,
        run.discrepancies_new,
        run.discrepancies_ended,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The comparison that a job has finished.
pub async fn run_of_job(conn: &mut PgConnection, job_id: i64) -> Result<Option<Run>, StoreError> {
    let run = sqlx::query_as!(
        Run,
        r#"
        select id, date, job_id, started_at, finished_at, captures, refunds, payments, our_refunds, discrepancies_open,
               discrepancies_new, discrepancies_ended
          from reconciliation_runs where job_id = $1 order by finished_at desc limit 1
        "#,
        job_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(run)
}

/// The discrepancies of a day, resolved ones included, in the order in which they were found.
pub async fn of_day(conn: &mut PgConnection, date: NaiveDate) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let lines = sqlx::query_as!(
        DiscrepancyRow,
        r#"
        select id, date, kind, reference, order_id, payment_key, transaction_key, payment_id, refund_id, our_amount,
               their_amount, first_seen_at, last_seen_at, resolved_at, resolution, accepted_by, acceptance
          from discrepancies where date = $1 order by first_seen_at, kind, reference
        "#,
        date
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// The discrepancies that wait for somebody, newest day first.
pub async fn open(conn: &mut PgConnection, limit: i64) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let lines = sqlx::query_as!(
        DiscrepancyRow,
        r#"
        select id, date, kind, reference, order_id, payment_key, transaction_key, payment_id, refund_id, our_amount,
               their_amount, first_seen_at, last_seen_at, resolved_at, resolution, accepted_by, acceptance
          from discrepancies where resolved_at is null and accepted_at is null
         order by date desc, first_seen_at, kind, reference limit $1
        "#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}
