//! What was collected and declined day by day, for the charts.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::super::StoreError;

/// One civil day in Seoul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayFigures {
    pub date: NaiveDate,
    /// Won.
    pub collected: i64,
    pub captured: i64,
    pub declined: i64,
}

/// The days from `since` on that had any payment, in order.
pub async fn days(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<DayFigures>, StoreError> {
    let days = sqlx::query_as!(
        DayFigures,
        r#"
        select date as "date!", sum(won)::bigint as "collected!", sum(captured)::bigint as "captured!",
               sum(declined)::bigint as "declined!"
          from (select (paid_at at time zone 'Asia/Seoul')::date as date, sum(amount) as won, count(*) as captured,
                       0 as declined
                  from payments where paid_at >= $1 group by 1
                union all
                select (settled_at at time zone 'Asia/Seoul')::date, 0, 0, count(*)
                  from payments
                 where status = 'failed' and decline_kind is not null and settled_at >= $1 group by 1) sums
         group by date order by date
        "#,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}

/// The commonest reasons of declines since then: code and how many.
pub async fn decline_codes(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select coalesce(toss_code, '?') as "code!", count(*) as "count!"
          from payments where status = 'failed' and decline_kind is not null and settled_at >= $1
         group by 1 order by 2 desc, 1 limit $2
        "#,
        since,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.code, row.count)).collect())
}
