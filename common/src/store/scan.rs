//! Queries of the daily runs: subscriptions to charge and subscriptions to remind, in bounded batches.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, columns::Count};
use crate::domain::{billing_schedule::BillingSchedule, calendar::Cycle, money::Won};

/// A subscription that is due, with the facts that its invoices need.
#[derive(Debug, Clone)]
pub struct Due {
    pub subscription_id: Uuid,
    pub rhythm: BillingSchedule,
    pub period_no: u32,
    pub amount: Won,
}

/// Active subscriptions whose next charge is due by `until`, in the order of their ids, after `after`. Subscriptions
/// whose plan change is due are left out until it is settled.
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
          from subscriptions
         where status = 'active' and next_billing_date <= $1 and id > $2 and charging_paused_at is null
           and not exists (select from plan_changes change
                            where change.subscription_id = subscriptions.id and change.status = 'pending'
                              and change.effective_on <= ($1 at time zone 'Asia/Seoul')::date)
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
        rhythm: BillingSchedule {
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
/// ones are left out.
pub async fn unnoticed_batch(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select id from subscriptions
         where status = 'active' and next_billing_date > $1 and next_billing_date <= $2 and id > $3
           and charging_paused_at is null
         order by id
         limit $4
        "#,
        from,
        until,
        after,
        limit,
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
