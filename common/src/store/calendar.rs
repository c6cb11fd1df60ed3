//! What was collected on each day, and what is to be, as the calendar shows it. Days are civil days in Seoul.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// One kind of movement on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySum {
    pub date: NaiveDate,
    pub count: i64,
    /// Won.
    pub amount: i64,
}

/// Captured payments by the day of their capture.
pub async fn charged(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<DaySum>, StoreError> {
    let days = sqlx::query_as!(
        DaySum,
        r#"
        select (paid_at at time zone 'Asia/Seoul')::date as "date!", count(*) as "count!", sum(amount)::bigint as "amount!"
          from payments where paid_at >= $1 and paid_at < $2 group by 1 order by 1
        "#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}

/// Declined payments by the day of the refusal. Payments that were withdrawn unsent are no declines.
pub async fn failed(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<DaySum>, StoreError> {
    let days = sqlx::query_as!(
        DaySum,
        r#"
        select (settled_at at time zone 'Asia/Seoul')::date as "date!", count(*) as "count!", sum(amount)::bigint as "amount!"
          from payments
         where status = 'failed' and decline_kind is not null and settled_at >= $1 and settled_at < $2
         group by 1 order by 1
        "#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}

/// Refunds by the day on which the money went back.
pub async fn refunded(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<DaySum>, StoreError> {
    let days = sqlx::query_as!(
        DaySum,
        r#"
        select (coalesce(refunded_at, settled_at) at time zone 'Asia/Seoul')::date as "date!", count(*) as "count!",
               sum(amount)::bigint as "amount!"
          from refunds
         where status = 'completed' and coalesce(refunded_at, settled_at) >= $1 and coalesce(refunded_at, settled_at) < $2
         group by 1 order by 1
        "#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}

/// Renewals that begin from `from` to the day before `until`, by the schedules as they are, and tries of declined invoices.
///
/// Left out: subscriptions without a card, with paused charges, or that would end for want of a consent. What is overdue
/// counts on `today`.
pub async fn expected(
    conn: &mut PgConnection,
    from: NaiveDate,
    until: NaiveDate,
    today: NaiveDate,
) -> Result<Vec<DaySum>, StoreError> {
    let days = sqlx::query_file_as!(DaySum, "src/store/sql/calendar_expected.sql", from, until, today)
        .fetch_all(conn)
        .await?;
    Ok(days)
}
