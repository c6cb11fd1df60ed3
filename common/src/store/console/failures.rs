//! Everything that went wrong, grouped by kind and cause, with what happens next by itself.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::StoreError;

/// A bad day has more failures than a page may count; the newest ones are.
pub const MAX_COUNTED: i64 = 20_000;

/// One kind of failure with one cause.
#[derive(Debug, Clone)]
pub struct Group {
    /// `job`, `decline`, `unknown`, `refund`, `card`, `email`, `webhook` or `event`.
    pub area: String,
    /// The job's kind, `soft` or `hard`, the e-mail's kind, the event's type.
    pub kind: String,
    /// Toss's code, or the error's first line without ids and numbers.
    pub cause: String,
    pub hour: i64,
    pub day: i64,
    pub week: i64,
    pub last_at: DateTime<Utc>,
    /// Of the week's, those that are tried again by themselves.
    pub by_itself: i64,
    /// When the first of them is.
    pub next_at: Option<DateTime<Utc>>,
    /// Of the week's, those that wait for a person.
    pub waiting: i64,
}

/// Groups of the seven days before `now`, the newest first.
pub async fn groups(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Group>, StoreError> {
    let mut groups = jobs(conn, now).await?;
    groups.extend(payments(conn, now).await?);
    groups.extend(others(conn, now).await?);
    groups.sort_by_key(|group| std::cmp::Reverse(group.last_at));
    Ok(groups)
}

async fn jobs(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Group>, StoreError> {
    let groups = sqlx::query_as!(
        Group,
        r#"
        select 'job' as "area!", failed.kind as "kind!", error_group(failed.last_error) as "cause!",
               count(*) filter (where failed.finished_at > $1::timestamptz - interval '1 hour') as "hour!",
               count(*) filter (where failed.finished_at > $1::timestamptz - interval '24 hours') as "day!",
               count(*) as "week!", max(failed.finished_at) as "last_at!",
               count(*) filter (where following.state in ('available', 'running')) as "by_itself!",
               min(following.run_at) filter (where following.state = 'available') as next_at,
               count(*) filter (where failed.next_id is null) as "waiting!"
          from (select kind, last_error, finished_at, next_id from jobs
                 where state = 'failed' and finished_at > $1::timestamptz - interval '7 days'
                 order by finished_at desc limit $2) failed
          left join jobs following on following.id = failed.next_id
         group by failed.kind, error_group(failed.last_error)
        "#,
        now,
        MAX_COUNTED,
    )
    .fetch_all(conn)
    .await?;
    Ok(groups)
}

async fn payments(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Group>, StoreError> {
    let groups = sqlx::query_as!(
        Group,
        r#"
        select 'decline' as "area!", failed.decline_kind as "kind!", coalesce(failed.toss_code, '') as "cause!",
               count(*) filter (where failed.settled_at > $1::timestamptz - interval '1 hour') as "hour!",
               count(*) filter (where failed.settled_at > $1::timestamptz - interval '24 hours') as "day!",
               count(*) as "week!", max(failed.settled_at) as "last_at!",
               count(distinct invoice.id) filter (
                   where invoice.status = 'open' and invoice.next_attempt_at is not null and invoice.held_since is null)
                   as "by_itself!",
               min(invoice.next_attempt_at) filter (where invoice.status = 'open' and invoice.held_since is null) as next_at,
               count(distinct invoice.id) filter (
                   where invoice.status = 'uncollectible' or (invoice.status = 'open' and invoice.held_since is not null))
                   as "waiting!"
          from (select decline_kind, toss_code, settled_at, invoice_id from payments
                 where status = 'failed' and decline_kind is not null and settled_at > $1::timestamptz - interval '7 days'
                 order by settled_at desc limit $2) failed
          join invoices invoice on invoice.id = failed.invoice_id
         group by failed.decline_kind, coalesce(failed.toss_code, '')
        union all
        select 'unknown', kind, coalesce(toss_code, ''),
               count(*) filter (where unknown_since > $1::timestamptz - interval '1 hour'),
               count(*) filter (where unknown_since > $1::timestamptz - interval '24 hours'),
               count(*), max(unknown_since), count(*) filter (where review_since is null),
               null, count(*) filter (where review_since is not null)
          from payments where status = 'unknown'
         group by kind, coalesce(toss_code, '')
        "#,
        now,
        MAX_COUNTED,
    )
    .fetch_all(conn)
    .await?;
    Ok(groups)
}

/// Refunds, cards, e-mails and webhooks: none of them is tried again by itself once it has failed, but for events.
async fn others(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Group>, StoreError> {
    let groups = sqlx::query_as!(
        Group,
        r#"
        select area as "area!", kind as "kind!", cause as "cause!",
               count(*) filter (where at > $1::timestamptz - interval '1 hour') as "hour!",
               count(*) filter (where at > $1::timestamptz - interval '24 hours') as "day!",
               count(*) as "week!", max(at) as "last_at!", count(*) filter (where is_retried) as "by_itself!",
               null::timestamptz as next_at, count(*) filter (where not is_retried) as "waiting!"
          from ((select 'refund' as area, '' as kind, coalesce(toss_code, '') as cause, settled_at as at, false as is_retried
                   from refunds where status = 'failed' and settled_at > $1::timestamptz - interval '7 days' limit $2)
                union all
                (select 'card', '', coalesce(toss_code, ''), settled_at, false
                   from card_registrations
                  where status = 'refused' and settled_at > $1::timestamptz - interval '7 days' limit $2)
                union all
                (select 'email', kind, error_group(coalesce(last_error, '')), created_at, false
                   from emails where status = 'failed' and created_at > $1::timestamptz - interval '7 days' limit $2)
                union all
                (select 'webhook', coalesce(event_type, ''), error_group(note), received_at, false
                   from webhook_events_in
                  where state = 'failed' and received_at > $1::timestamptz - interval '7 days' limit $2)
                union all
                (select 'event', event.type, error_group(delivery.last_error), delivery.last_tried_at,
                        delivery.state = 'pending'
                   from webhook_deliveries delivery join webhook_events_out event on event.id = delivery.event_id
                  where delivery.state in ('failed', 'pending') and delivery.last_error is not null
                    and delivery.last_tried_at > $1::timestamptz - interval '7 days' limit $2)) failures
         group by area, kind, cause
        "#,
        now,
        MAX_COUNTED,
    )
    .fetch_all(conn)
    .await?;
    Ok(groups)
}
