//! Leases: claiming due tries, renewing them, giving them back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::QueueError;
use crate::job::Claimed;

/// Leases up to `limit` due tries of these kinds, ordered by priority, then `run_at`; no two callers get the same.
///
/// `now` decides what is due; the lease ends `lease` from now by the database's clock.
pub async fn claim(
    db: impl PgExecutor<'_>,
    kinds: &[&str],
    limit: i64,
    lease: Duration,
    worker: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Claimed>, QueueError> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    // One index range per kind and priority in use: with one range over all, every claim would walk and sort
    // the future rows of each priority.
    let mut claimed = sqlx::query_as!(
        Claimed,
        r#"
        with recursive levels as (
            select k.kind,
                   (select min(j.priority) from jobs j where j.state = 'available' and j.kind = k.kind) as priority
            from unnest($1::text[]) as k (kind)
            union all
            select l.kind,
                   (select min(j.priority) from jobs j
                    where j.state = 'available' and j.kind = l.kind and j.priority > l.priority)
            from levels l where l.priority is not null
        ), due as (
            select d.id from levels l
            cross join lateral (
                select j.id, j.priority, j.run_at from jobs j
                where j.state = 'available' and j.kind = l.kind and j.priority = l.priority and j.run_at <= $2
                order by j.run_at, j.id limit $3 for update skip locked
            ) d
            order by d.priority, d.run_at, d.id limit $3
        )
        update jobs
        set state = 'running', lease_token = gen_random_uuid(), worker = $5, started_at = $2,
            lease_until = clock_timestamp() + make_interval(secs => $4)
        from due where jobs.id = due.id
        returning jobs.id, kind, args, subject, priority, attempt, max_attempts, run_at,
                  coalesce(root_id, jobs.id) as "root_id!", crashes, snoozes, trace_context, lease_token as "token!"
        "#,
        &kinds,
        now,
        limit,
        lease.as_secs_f64(),
        worker
    )
    .fetch_all(db)
    .await?;
    claimed.sort_by_key(|job| (job.priority, job.run_at, job.id));
    Ok(claimed)
}

/// Renews all these leases (id, token) in one statement, to `lease` from now by the database's clock; returns
/// the ids that are still ours.
pub async fn heartbeat(
    db: impl PgExecutor<'_>,
    leases: &[(i64, Uuid)],
    lease: Duration,
) -> Result<Vec<i64>, QueueError> {
    let (ids, tokens): (Vec<i64>, Vec<Uuid>) = leases.iter().copied().unzip();
    let ours = sqlx::query_scalar!(
        "update jobs set lease_until = clock_timestamp() + make_interval(secs => $3)
         from unnest($1::bigint[], $2::uuid[]) as held (id, token)
         where jobs.id = held.id and jobs.lease_token = held.token
         returning jobs.id",
        &ids,
        &tokens,
        lease.as_secs_f64()
    )
    .fetch_all(db)
    .await?;
    Ok(ours)
}

/// Gives unfinished tries back at once, as if never claimed; returns how many were still ours.
///
/// Only for tries whose handler did not start or was stopped: another worker may start them the next moment.
pub async fn release(db: impl PgExecutor<'_>, leases: &[(i64, Uuid)]) -> Result<u64, QueueError> {
    let (ids, tokens): (Vec<i64>, Vec<Uuid>) = leases.iter().copied().unzip();
    let row = sqlx::query!(
        r#"
        with back as (
            update jobs set state = 'available', lease_token = null, lease_until = null
            from unnest($1::bigint[], $2::uuid[]) as held (id, token)
            where jobs.id = held.id and jobs.lease_token = held.token
            returning kind
        )
        select count(*) as "released!",
               case when count(*) > 0 then
                   pg_notify('jobs', case when min(kind) = max(kind) then min(kind) else '' end)::text
               end as told
        from back
        "#,
        &ids,
        &tokens
    )
    .fetch_one(db)
    .await?;
    Ok(u64::try_from(row.released).unwrap_or_default())
}
