//! View `work_without_job`: unfinished rows that no job looks after, and the jobs that are made for them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::jobs::{ChargeSubscription, DeliverEvent, Job, SendEmail};

/// As many tries as every job of billing has.
const MAX_ATTEMPTS: i32 = SendEmail::MAX_ATTEMPTS;

/// What one sweep goes through: the kinds of which many rows can be unfinished at once, each in slices (function
/// `end_of_slice` names the same), and before them all others together.
pub const GROUPS: [Group; 4] = [
    Group(None),
    Group(Some(ChargeSubscription::KIND)),
    Group(Some(SendEmail::KIND)),
    Group(Some(DeliverEvent::KIND)),
];

/// Kinds of unfinished work that are swept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(Option<&'static str>);

/// What sweeping one slice came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many jobs it made.
    pub made: i64,
    /// The last row of the slice. `None` when it was the last one.
    pub until: Option<Uuid>,
}

/// Makes a job for each piece of work in the slice after `after` that has had none since `before`. A slice has `rows` rows.
pub async fn make_missing_jobs(
    conn: &mut PgConnection,
    Group(kind): Group,
    (after, rows): (Uuid, i64),
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Swept, StoreError> {
    let many: Vec<String> = GROUPS.iter().filter_map(|group| group.0).map(str::to_owned).collect();
    let swept = sqlx::query_file_as!(
        Swept,
        "src/store/sql/sweep_slice.sql",
        now,
        MAX_ATTEMPTS,
        before,
        kind,
        &many,
        after,
        rows
    )
    .fetch_one(conn)
    .await?;
    Ok(swept)
}

/// Makes the job of the next outgoing event of a subscription where the event has none. Returns how many it made.
pub async fn make_delivery_job(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let made = sqlx::query_scalar!(
        r#"
        with made as (
            insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
            select kind, args, about, subject, $1, due_at($1, $1), $2, $1 from work_without_job
             where kind = 'deliver-event' and subscription_id = $3 limit 1
            returning 1
        ), announced as (
            select announce('jobs', 'deliver-event') from made having count(*) > 0
        )
        select (select count(*) from made) + 0 * (select count(*) from announced) as "made!"
        "#,
        now,
        MAX_ATTEMPTS,
        subscription_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use sqlx::PgPool;

    use super::*;
    use crate::clock::Clock;

    /// Seven subscriptions of an hour ago, each with an open invoice, a queued e-mail and a pending event.
    const UNFINISHED: [&str; 6] = [
        "insert into users (id, created_at, updated_at)
         select ('00000000-0000-7000-8000-00000000000' || n)::uuid, now(), now() from generate_series(1, 7) n",
        "insert into subscriptions (id, user_id, plan, billing_cycle, customer_key, amount, status, customer_email,
             customer_name, anchor_on, current_period_start, current_period_end, next_billing_date, created_at, updated_at)
         select id, id, 'personal', 'monthly', id::text, 9900, 'active', 'a@example.com', 'name', now(), now(),
                now() + interval '1 month', now(), now(), now() from users",
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select id, id, 1, now(), now() + interval '1 month', now(), 9900, now() - interval '1 hour' from subscriptions",
        "insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text,
             message_id, created_at)
         select id, 'renewal_notice', id::text, id, id, 'a@example.com', '', '', '', id::text, now() - interval '1 hour'
           from subscriptions",
        "insert into webhook_events_out (id, type, unique_key, subscription_id, body, created_at)
         select id, 'subscription.renewed', id::text, id, '{}', now() - interval '1 hour' from subscriptions",
        "insert into webhook_deliveries (event_id) select id from webhook_events_out",
    ];

    async fn unfinished(pool: &PgPool) {
        for statement in UNFINISHED {
            sqlx::query(statement).execute(pool).await.unwrap();
        }
    }

    /// The jobs that each slice of this group made.
    async fn sweep(pool: &PgPool, group: Group) -> Vec<i64> {
        let (mut conn, now) = (pool.acquire().await.unwrap(), Clock::System.now());
        let before = now - TimeDelta::minutes(2);
        let (mut made, mut after) = (Vec::new(), Some(Uuid::nil()));
        while let Some(last) = after {
            let swept = make_missing_jobs(&mut conn, group, (last, 3), before, now).await.unwrap();
            made.push(swept.made);
            after = swept.until;
        }
        made
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn slices_leave_no_unfinished_row_out(pool: PgPool) {
        unfinished(&pool).await;
        let [few, many @ ..] = GROUPS;
        assert_eq!(sweep(&pool, few).await, [0]);
        for group in many {
            assert_eq!(sweep(&pool, group).await, [3, 3, 1], "{group:?}");
            assert_eq!(sweep(&pool, group).await, [0, 0, 0], "{group:?}");
        }
        let left: i64 =
            sqlx::query_scalar("select count(*) from work_without_job").fetch_one(&pool).await.unwrap();
        assert_eq!(left, 0);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_slice_skips_what_has_a_job_and_what_is_young(pool: PgPool) {
        unfinished(&pool).await;
        let [_, charges, ..] = GROUPS;
        let young = "update invoices set created_at = now() where id in (select id from invoices order by id limit 2)";
        sqlx::query(young).execute(&pool).await.unwrap();
        assert_eq!(sweep(&pool, charges).await, [1, 3, 1]);
        let lost = "delete from jobs where about = (select id from invoices order by id desc limit 1)";
        sqlx::query(lost).execute(&pool).await.unwrap();
        assert_eq!(sweep(&pool, charges).await, [0, 0, 1]);
    }
}
