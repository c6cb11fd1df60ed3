//! What the simulation remembers by itself of what people wished, and were promised: written in the commit that tells them.

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::calendar::Cycle;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const TABLES: [&str; 3] = ["farewells", "agreements", "shares"];

pub(crate) const SCHEMA: [&str; 4] = [
    // What was on record for a subscription when its cancel took effect: written and taken back in the same commit.
    "create table remembered.farewells (subscription_id uuid not null, order_id text, was_sent boolean not null)",
    // From when on somebody agreed to pay how much for how many months; the first, and each change that was wished.
    "create table remembered.agreements (
         subscription_id uuid not null, change_id uuid, effective_on date not null, amount integer not null,
         months integer not null, is_consented boolean not null default false, is_void boolean not null default false)",
    // What goes back of the payment of a period that was ended before its time.
    "create table remembered.shares (subscription_id uuid primary key, order_id text, amount bigint not null)",
    "create view remembered.terms as
     select subscription_id, effective_on, lead(effective_on) over them as until, amount, months,
            is_consented or amount <= coalesce(lag(amount) over them, amount) as is_agreed
       from remembered.agreements where not is_void
     window them as (partition by subscription_id order by effective_on)",
];

/// A wish as its owner knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wished {
    pub(crate) effective_on: NaiveDate,
    pub(crate) amount: i32,
}

/// It is canceled: with what is on record at that moment. One that was canceled before stays as it was.
pub(crate) async fn farewell(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let farewell = sqlx::query(
        "insert into remembered.farewells (subscription_id, order_id, was_sent)
         select $1, order_id, was_sent from (
             select null as order_id, false as was_sent
             union all select order_id, status in ('pending', 'unknown') and sent_at is not null
               from payments where subscription_id = $1) as known
          where not exists (select from remembered.farewells where subscription_id = $1)",
    );
    farewell.bind(id).execute(conn).await.map(|_| ())
}

pub(crate) async fn come_back(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let farewell = sqlx::query("delete from remembered.farewells where subscription_id = $1");
    farewell.bind(id).execute(conn).await.map(|_| ())
}

/// What a subscription begins with.
pub(crate) async fn begin(conn: &mut PgConnection, id: Uuid, amount: i32, cycle: Cycle) -> sqlx::Result<()> {
    let first = sqlx::query(
        "insert into remembered.agreements (subscription_id, effective_on, amount, months)
         values ($1, '-infinity', $2, $3)",
    );
    first.bind(id).bind(amount).bind(months(cycle)).execute(conn).await.map(|_| ())
}

/// A change that is promised for that day, in the place of one that was not there yet.
pub(crate) async fn wish(
    conn: &mut PgConnection,
    id: Uuid,
    change_id: Uuid,
    wished: Wished,
    cycle: Cycle,
) -> sqlx::Result<()> {
    forget_withdrawn(conn, id).await?;
    let wish = sqlx::query(
        "insert into remembered.agreements (subscription_id, change_id, effective_on, amount, months)
         values ($1, $2, $3, $4, $5)",
    );
    let wish = wish.bind(id).bind(change_id).bind(wished.effective_on).bind(wished.amount);
    wish.bind(months(cycle)).execute(conn).await.map(|_| ())
}

/// Which wish of theirs still waits is what they are told by us.
pub(crate) async fn forget_withdrawn(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let void = sqlx::query(
        "update remembered.agreements set is_void = true
          where subscription_id = $1
            and change_id in (select id from plan_changes where status in ('withdrawn', 'superseded'))",
    );
    void.bind(id).execute(conn).await.map(|_| ())
}

pub(crate) async fn last_wish(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Wished>> {
    let last: Option<(NaiveDate, i32)> = sqlx::query_as(
        "select effective_on, amount from remembered.agreements
          where subscription_id = $1 and change_id is not null and not is_void order by effective_on desc limit 1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(last.map(|(effective_on, amount)| Wished { effective_on, amount }))
}

/// A yes to the last wish. One that is given too early or too late is none, whoever has taken it.
pub(crate) async fn consent(conn: &mut PgConnection, id: Uuid, at: DateTime<Utc>) -> sqlx::Result<()> {
    let yes = sqlx::query(
        "update remembered.agreements wish set is_consented = true
          where subscription_id = $1 and change_id is not null and not is_void
            and ($2 at time zone 'Asia/Seoul')::date between effective_on - 30 and effective_on - 1
            and not exists (select from remembered.agreements later
                             where later.subscription_id = $1 and not later.is_void
                               and later.effective_on > wish.effective_on)",
    );
    yes.bind(id).bind(at).execute(conn).await.map(|_| ())
}

/// The worth of the days after today, of what the running period's payment held before; remembered when it was first asked
/// for.
pub(crate) async fn share(conn: &mut PgConnection, id: Uuid, at: DateTime<Utc>) -> sqlx::Result<i32> {
    let share = sqlx::query(
        "insert into remembered.shares (subscription_id, order_id, amount)
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
    share.bind(id).bind(at).execute(&mut *conn).await?;
    let share =
        sqlx::query_scalar("select amount::integer from remembered.shares where subscription_id = $1");
    share.bind(id).fetch_one(conn).await
}

fn months(cycle: Cycle) -> i32 {
    match cycle {
        Cycle::Monthly => 1,
        Cycle::Yearly => 12,
    }
}
