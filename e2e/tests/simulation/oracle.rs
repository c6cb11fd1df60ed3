//! The oracle: what customers requested and were promised, recorded by the simulation itself. Each entry is written in
//! the transaction of the request, so it exists exactly when the request succeeded.

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::calendar::Cycle;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const TABLES: [&str; 3] = ["cancellations", "agreements", "prorated_refunds"];

pub(crate) const SCHEMA: [&str; 4] = [
    // The payments on record when a subscription was canceled. A resume deletes the rows.
    "create table oracle.cancellations (subscription_id uuid not null, order_id text, was_sent boolean not null)",
    // The amount and the months that a customer agreed to from a date on: the first terms, then each plan change.
    "create table oracle.agreements (
         subscription_id uuid not null, change_id uuid, effective_on date not null, amount integer not null,
         months integer not null, is_consented boolean not null default false, is_void boolean not null default false)",
    // The prorated refund of a subscription that was ended at once.
    "create table oracle.prorated_refunds (subscription_id uuid primary key, order_id text, amount bigint not null)",
    "create view oracle.terms as
     select subscription_id, effective_on, lead(effective_on) over them as until, amount, months,
            is_consented or amount <= coalesce(lag(amount) over them, amount) as is_agreed
       from oracle.agreements where not is_void
     window them as (partition by subscription_id order by effective_on)",
];

/// A plan change as its customer knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AgreedChange {
    pub(crate) effective_on: NaiveDate,
    pub(crate) amount: i32,
}

/// Records a cancel with the payments of that moment. The first cancel counts.
pub(crate) async fn record_cancellation(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let insert = sqlx::query(
        "insert into oracle.cancellations (subscription_id, order_id, was_sent)
         select $1, order_id, was_sent from (
             select null as order_id, false as was_sent
             union all select order_id, status in ('pending', 'unknown') and sent_at is not null
               from payments where subscription_id = $1) as known
          where not exists (select from oracle.cancellations where subscription_id = $1)",
    );
    insert.bind(id).execute(conn).await.map(|_| ())
}

pub(crate) async fn record_resume(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let delete = sqlx::query("delete from oracle.cancellations where subscription_id = $1");
    delete.bind(id).execute(conn).await.map(|_| ())
}

/// Records the terms that a subscription begins with.
pub(crate) async fn record_first_terms(
    conn: &mut PgConnection,
    id: Uuid,
    amount: i32,
    cycle: Cycle,
) -> sqlx::Result<()> {
    let first = sqlx::query(
        "insert into oracle.agreements (subscription_id, effective_on, amount, months)
         values ($1, '-infinity', $2, $3)",
    );
    first.bind(id).bind(amount).bind(months(cycle)).execute(conn).await.map(|_| ())
}

/// Records a plan change. It replaces one that has not taken effect.
pub(crate) async fn record_plan_change(
    conn: &mut PgConnection,
    id: Uuid,
    change_id: Uuid,
    change: AgreedChange,
    cycle: Cycle,
) -> sqlx::Result<()> {
    void_withdrawn_changes(conn, id).await?;
    let insert = sqlx::query(
        "insert into oracle.agreements (subscription_id, change_id, effective_on, amount, months)
         values ($1, $2, $3, $4, $5)",
    );
    let insert = insert.bind(id).bind(change_id).bind(change.effective_on).bind(change.amount);
    insert.bind(months(cycle)).execute(conn).await.map(|_| ())
}

/// Voids the changes that our own tables call withdrawn or superseded, as the customer was told.
pub(crate) async fn void_withdrawn_changes(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let void = sqlx::query(
        "update oracle.agreements set is_void = true
          where subscription_id = $1
            and change_id in (select id from plan_changes where status in ('withdrawn', 'superseded'))",
    );
    void.bind(id).execute(conn).await.map(|_| ())
}

pub(crate) async fn last_plan_change(
    conn: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Option<AgreedChange>> {
    let last: Option<(NaiveDate, i32)> = sqlx::query_as(
        "select effective_on, amount from oracle.agreements
          where subscription_id = $1 and change_id is not null and not is_void order by effective_on desc limit 1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(last.map(|(effective_on, amount)| AgreedChange { effective_on, amount }))
}

/// Records a consent to the last change. Outside the 30 days before the change it does not count, even if accepted.
pub(crate) async fn record_consent(conn: &mut PgConnection, id: Uuid, at: DateTime<Utc>) -> sqlx::Result<()> {
    let update = sqlx::query(
        "update oracle.agreements agreement set is_consented = true
          where subscription_id = $1 and change_id is not null and not is_void
            and ($2 at time zone 'Asia/Seoul')::date between effective_on - 30 and effective_on - 1
            and not exists (select from oracle.agreements later
                             where later.subscription_id = $1 and not later.is_void
                               and later.effective_on > agreement.effective_on)",
    );
    update.bind(id).bind(at).execute(conn).await.map(|_| ())
}

/// Computes the prorated refund of a subscription that ends now: the unused days' part of what its payment still holds.
/// Records it the first time.
pub(crate) async fn prorated_refund(
    conn: &mut PgConnection,
    id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<i32> {
    let insert = sqlx::query(
        "insert into oracle.prorated_refunds (subscription_id, order_id, amount)
         select subscription.id, paid.order_id, coalesce(left_over * unused / days, 0)
           from subscriptions subscription
           cross join lateral (
                select current_period_end - current_period_start as days,
                       greatest(current_period_end - 1
                                - greatest(($2 at time zone 'Asia/Seoul')::date, current_period_start), 0) as unused) share
           left join lateral (
                select order_id, payment.amount - coalesce((
                           select sum(amount) from refunds
                            where payment_id = payment.id and status <> 'failed'
                              and not exists (select from subscription_endings where refund_id = refunds.id)), 0) as left_over
                  from payments payment join invoices invoice on invoice.id = payment.invoice_id
                 where invoice.subscription_id = subscription.id and invoice.period_no = subscription.period_no
                   and payment.status in ('completed', 'partially_refunded')) paid on true
          where subscription.id = $1
         on conflict do nothing",
    );
    insert.bind(id).bind(at).execute(&mut *conn).await?;
    let amount =
        sqlx::query_scalar("select amount::integer from oracle.prorated_refunds where subscription_id = $1");
    amount.bind(id).fetch_one(conn).await
}

fn months(cycle: Cycle) -> i32 {
    match cycle {
        Cycle::Monthly => 1,
        Cycle::Yearly => 12,
    }
}
