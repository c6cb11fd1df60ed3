//! Queries of the daily runs: subscriptions to charge and subscriptions to remind, in bounded batches.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, columns::Count};
use crate::domain::{billing_schedule::BillingSchedule, calendar::Cycle, money::Won};

/// A subscription that is due, with the facts that its invoices need.
#[derive(Debug, Clone)]
pub struct Due {
    pub subscription_id: Uuid,
    pub schedule: BillingSchedule,
    pub period_no: u32,
    pub amount: Won,
}

/// A day's scan: everything that is due on or before a civil date in Seoul.
#[derive(Debug, Clone, Copy)]
pub struct ScanDay {
    pub date: NaiveDate,
    /// The last instant of that date.
    pub until: DateTime<Utc>,
}

/// A place in the order of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub next_billing_date: DateTime<Utc>,
    pub id: Uuid,
}

impl Place {
    /// Before every subscription.
    pub const START: Self = Self { next_billing_date: DateTime::UNIX_EPOCH, id: Uuid::nil() };
}

/// What billing one batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BilledBatch {
    pub seen: i64,
    pub queued: i64,
    /// Where the next batch begins. `None` when nothing more is due.
    pub end: Option<Place>,
}

/// Bills the due subscriptions after `after`: an invoice and a charge job each, in one statement.
///
/// Left out are rows that somebody holds and subscriptions of which several periods have begun: see [`due_batch`].
pub async fn bill_batch(
    conn: &mut PgConnection,
    day: ScanDay,
    after: Place,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<BilledBatch, StoreError> {
    // Ids in the order of time, as those made by this program: the first 48 bits are milliseconds.
    let time = format!("{:012x}", now.timestamp_millis());
    let row = sqlx::query_file!(
        "src/store/sql/bill_due.sql",
        day.until,
        after.next_billing_date,
        after.id,
        limit,
        day.date,
        now,
        queue::cause(),
        time
    )
    .fetch_one(conn)
    .await?;
    let end = row.last_billing_date.zip(row.last_id);
    let end = end.map(|(next_billing_date, id)| Place { next_billing_date, id });
    Ok(BilledBatch { seen: row.seen, queued: row.queued, end })
}

/// Where the batch after `after` ends. `None` when nothing more is due.
pub async fn end_of_batch(
    conn: &mut PgConnection,
    day: ScanDay,
    after: Place,
    limit: i64,
) -> Result<Option<Place>, StoreError> {
    let end = sqlx::query_as!(
        Place,
        r#"
        select next_billing_date as "next_billing_date!", id as "id!"
          from (select next_billing_date, id from subscriptions
                 where status = 'active' and next_billing_date <= $1 and (next_billing_date, id) > ($2, $3)
                   and charging_paused_at is null
                 order by next_billing_date, id limit $4) as batch
         order by next_billing_date desc, id desc limit 1
        "#,
        day.until,
        after.next_billing_date,
        after.id,
        limit,
    )
    .fetch_optional(conn)
    .await?;
    Ok(end)
}

/// Active subscriptions whose next charge is due by `until` and has no invoice yet, in the order of their ids, after
/// `after`: what [`bill_batch`] left. Subscriptions whose plan change is due are left out until it is settled.
pub async fn due_batch(
    conn: &mut PgConnection,
    until: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select id, billing_cycle as "cycle: Cycle", anchor_on, terms_since_period as "from_no: Count",
               terms_since_month as "from_month: Count", period_no as "period_no: Count", amount as "amount: Won"
          from subscriptions due
         where status = 'active' and next_billing_date <= $1 and id > $2 and charging_paused_at is null
           and not exists (select from plan_changes change
                            where change.subscription_id = due.id and change.status = 'pending'
                              and change.effective_on <= ($1 at time zone 'Asia/Seoul')::date)
           -- Billed in full: the next period has its invoice, and so has the one that runs. An older period on hold or
           -- forgiven keeps no later one from being billed.
           and not (exists (select from invoices next where next.subscription_id = due.id
                               and next.period_no = greatest(due.period_no + 1, due.terms_since_period))
                    and exists (select from invoices running where running.subscription_id = due.id
                                   and running.period_start <= ($1 at time zone 'Asia/Seoul')::date
                                   and running.period_end > ($1 at time zone 'Asia/Seoul')::date))
         order by id
         limit $3
        "#,
        until,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let due = rows.into_iter().map(|row| Due {
        subscription_id: row.id,
        schedule: BillingSchedule {
            cycle: row.cycle,
            anchor_on: row.anchor_on,
            from_no: row.from_no.into(),
            from_month: row.from_month.into(),
        },
        period_no: row.period_no.into(),
        amount: row.amount,
    });
    Ok(due.collect())
}

/// An invoice that waits for its charge job.
#[derive(Debug, Clone, Copy)]
pub struct Chargeable {
    pub invoice_id: Uuid,
    pub subscription_id: Uuid,
}

/// The open invoices of these subscriptions that are not on hold and have no payment yet.
pub async fn untried_invoices(
    conn: &mut PgConnection,
    subscriptions: &[Uuid],
) -> Result<Vec<Chargeable>, StoreError> {
    let untried = sqlx::query_as!(
        Chargeable,
        r#"
        select invoice.id as invoice_id, invoice.subscription_id
          from invoices invoice
         where invoice.subscription_id = any ($1) and invoice.status = 'open' and invoice.held_since is null
           and invoice.period_no > 0 and invoice.next_attempt_at is null
           and not exists (select from payments where payments.invoice_id = invoice.id)
         order by invoice.subscription_id, invoice.period_no
        "#,
        subscriptions,
    )
    .fetch_all(conn)
    .await?;
    Ok(untried)
}

/// Active subscriptions that will be charged after `from` and up to `until`, in the order of their ids, after `after`. Paused
/// ones are left out. With `only`, no other subscription is looked at.
pub async fn unnoticed_batch(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    only: Option<Uuid>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select id from subscriptions
         where status = 'active' and next_billing_date > $1 and next_billing_date <= $2 and id > $3
           and charging_paused_at is null and ($5::uuid is null or id = $5)
         order by id
         limit $4
        "#,
        from,
        until,
        after,
        limit,
        only,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Subscriptions to which something is due by `until`, in the order of their ids, after `after`: renewals of all that are
/// active, paused ones included, and tries of declined invoices.
pub async fn due_subscriptions(
    conn: &mut PgConnection,
    until: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select id as "id!" from (
            (select id from subscriptions
              where status = 'active' and next_billing_date <= $1 and id > $2 order by id limit $3)
            union
            (select subscription.id
               from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
              where invoice.status = 'open' and invoice.held_since is null and invoice.next_attempt_at <= $1
                and subscription.status = 'past_due' and subscription.id > $2
              order by subscription.id limit $3)) as due
         order by id limit $3
        "#,
        until,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::domain::calendar::Cycle;

    /// The scan in sets counts months in the database.
    #[sqlx::test(migrations = "../migrations")]
    async fn the_database_counts_months_as_the_domain_does(pool: PgPool) {
        let (mut anchors, mut months, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let date = |year| NaiveDate::from_ymd_opt(year, 3, 2).unwrap();
        let (first, last) = (date(1999), date(2101));
        for anchor in first.iter_days().take_while(|day| *day < last).step_by(3) {
            for count in [0, 1, 2, 11, 12, 13, 24, 119] {
                anchors.push(anchor);
                months.push(i32::try_from(count).unwrap());
                expected.push(Cycle::Monthly.period_start(anchor, count).unwrap());
            }
        }
        let counted: Vec<NaiveDate> = sqlx::query_scalar(
            "select (anchor + make_interval(months => count))::date
               from unnest($1::date[], $2::int[]) with ordinality as t (anchor, count, place) order by place",
        )
        .bind(&anchors)
        .bind(&months)
        .fetch_all(&pool)
        .await
        .unwrap();
        assert!(counted == expected);
    }
}
