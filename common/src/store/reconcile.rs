//! Our books of a day, as they are compared with the gateway's.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::reconcile::{OurPayment, OurRefund};

/// What we say was captured between these instants.
pub async fn captured_between(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<OurPayment>, StoreError> {
    let rows = sqlx::query_as!(
        OurPayment,
        r#"
        select id, order_id, payment_key, amount, status as "status: _" from payments
         where paid_at >= $1 and paid_at < $2 and status in ('completed', 'refunded', 'partially_refunded')
         order by paid_at, id
        "#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// What we say went back between these instants.
pub async fn refunded_between(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<OurRefund>, StoreError> {
    let rows = sqlx::query_as!(
        OurRefund,
        r#"
        select refund.id, refund.payment_id, payment.order_id, payment.payment_key, refund.transaction_key, refund.amount,
               refund.status as "status: _"
          from refunds refund join payments payment on payment.id = refund.payment_id
         where refund.status = 'completed'
           and coalesce(refund.refunded_at, refund.settled_at) >= $1
           and coalesce(refund.refunded_at, refund.settled_at) < $2
         order by coalesce(refund.refunded_at, refund.settled_at), refund.id
        "#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Our attempts under these orders.
pub async fn payments_of_orders(
    conn: &mut PgConnection,
    order_ids: &[String],
) -> Result<Vec<OurPayment>, StoreError> {
    let rows = sqlx::query_as!(
        OurPayment,
        r#"select id, order_id, payment_key, amount, status as "status: _" from payments where order_id = any($1)"#,
        order_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Our refunds of these attempts, whatever became of them.
pub async fn refunds_of_orders(
    conn: &mut PgConnection,
    order_ids: &[String],
) -> Result<Vec<OurRefund>, StoreError> {
    let rows = sqlx::query_as!(
        OurRefund,
        r#"
        select refund.id, refund.payment_id, payment.order_id, payment.payment_key, refund.transaction_key, refund.amount,
               refund.status as "status: _"
          from payments payment join refunds refund on refund.payment_id = payment.id
         where payment.order_id = any($1)
        "#,
        order_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The days that a daily run compares, in their order: `yesterday`, and of those since the first comparison the ones that
/// were missed, compared only before they were over, or still have open discrepancies; accepted ones count for a month. At most
/// `limit`, those first that have waited longest: the next days' runs come to the others.
pub async fn days_to_compare(
    conn: &mut PgConnection,
    yesterday: NaiveDate,
    limit: i64,
) -> Result<Vec<NaiveDate>, StoreError> {
    let mut days = sqlx::query_scalar!(
        r#"
        with open_breaks as (
            select date from discrepancies
             where resolved_at is null and (accepted_at is null or date > $1::date - 31)
        ), first as (
            -- Ids are in the order of time.
            select (created_at at time zone 'Asia/Seoul')::date as began_on from payments order by id limit 1
        ), days as (
            select day::date as date
              from generate_series((select least(min(date), (select began_on from first), $1) from reconciliation_runs),
                                   $1::date, '1 day') day
            union
            select date from open_breaks where date <= $1
        )
        select days.date as "date!" from days
          left join lateral (select max(started_at) as last_at from reconciliation_runs where date = days.date) run on true
         where days.date = $1
            or run.last_at is null
            or run.last_at < (days.date + 1)::timestamp at time zone 'Asia/Seoul'
            or days.date in (select date from open_breaks)
         order by days.date = $1 desc, run.last_at nulls first, days.date
         limit $2
        "#,
        yesterday,
        limit,
    )
    .fetch_all(conn)
    .await?;
    days.sort_unstable();
    Ok(days)
}
