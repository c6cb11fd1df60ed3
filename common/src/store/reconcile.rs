//! Our books of a day, as they are compared with the gateway's.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known};
use crate::domain::reconcile::{OurPayment, OurRefund};

struct PaymentRow {
    id: Uuid,
    order_id: String,
    payment_key: Option<String>,
    amount: i32,
    status: String,
}

impl TryFrom<PaymentRow> for OurPayment {
    type Error = StoreError;

    fn try_from(row: PaymentRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            order_id: row.order_id,
            payment_key: row.payment_key,
            amount: row.amount.into(),
            status: known("payments", "status", &row.status)?,
        })
    }
}

struct RefundRow {
    id: Uuid,
    payment_id: Uuid,
    order_id: String,
    payment_key: Option<String>,
    transaction_key: Option<String>,
    amount: i32,
    status: String,
}

impl TryFrom<RefundRow> for OurRefund {
    type Error = StoreError;

    fn try_from(row: RefundRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            payment_id: row.payment_id,
            order_id: row.order_id,
            payment_key: row.payment_key,
            transaction_key: row.transaction_key,
            amount: row.amount.into(),
            status: known("refunds", "status", &row.status)?,
        })
    }
}

/// What we say was captured between these instants.
pub async fn captured_between(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<OurPayment>, StoreError> {
    let rows = sqlx::query_as!(
        PaymentRow,
        r#"
        select id, order_id, payment_key, amount, status from payments
         where paid_at >= $1 and paid_at < $2 and status in ('completed', 'refunded', 'partially_refunded')
         order by paid_at, id
        "#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(OurPayment::try_from).collect()
}

/// What we say went back between these instants.
pub async fn refunded_between(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<OurRefund>, StoreError> {
    let rows = sqlx::query_as!(
        RefundRow,
        r#"
        select refund.id, refund.payment_id, payment.order_id, payment.payment_key, refund.transaction_key, refund.amount,
               refund.status
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
    rows.into_iter().map(OurRefund::try_from).collect()
}

/// Our attempts under these orders.
pub async fn payments_of_orders(
    conn: &mut PgConnection,
    order_ids: &[String],
) -> Result<Vec<OurPayment>, StoreError> {
    let rows = sqlx::query_as!(
        PaymentRow,
        "select id, order_id, payment_key, amount, status from payments where order_id = any($1)",
        order_ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(OurPayment::try_from).collect()
}

/// Our refunds of these attempts, whatever became of them.
pub async fn refunds_of_orders(
    conn: &mut PgConnection,
    order_ids: &[String],
) -> Result<Vec<OurRefund>, StoreError> {
    let rows = sqlx::query_as!(
        RefundRow,
        r#"
        select refund.id, refund.payment_id, payment.order_id, payment.payment_key, refund.transaction_key, refund.amount,
               refund.status
          from payments payment join refunds refund on refund.payment_id = payment.id
         where payment.order_id = any($1)
        "#,
        order_ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(OurRefund::try_from).collect()
}

/// The days that a daily run compares: `yesterday`, and of the `days_back` before it those since the first comparison
/// that were missed, or compared only before they were over, or still have open breaks.
pub async fn days_to_compare(
    conn: &mut PgConnection,
    yesterday: NaiveDate,
    days_back: i32,
) -> Result<Vec<NaiveDate>, StoreError> {
    let days = sqlx::query_scalar!(
        r#"
        with days as (
            select ($1::date - back) as date from generate_series(0, $2::int) back
        )
        select days.date as "date!" from days
         where days.date = $1
            or (days.date >= (select min(date) from reconciliation_runs)
                and not exists (
                    select from reconciliation_runs run
                     where run.date = days.date
                       and run.started_at >= (days.date + 1)::timestamp at time zone 'Asia/Seoul'))
            or exists (select from reconciliation_breaks found
                        where found.date = days.date and found.resolved_at is null)
         order by 1
        "#,
        yesterday,
        days_back,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}
