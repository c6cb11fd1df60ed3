//! Leases: claiming due tries, renewing their leases, giving tries back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::QueueError;
use crate::job::Claimed;

/// Leases up to `limit` due tries of these kinds, ordered by priority, then by when they became due; no two callers get
/// the same.
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
    let per_kind = i32::try_from(limit).unwrap_or(i32::MAX);
    let shares: Vec<(&str, i32)> = kinds.iter().map(|kind| (*kind, per_kind)).collect();
    claim_shares(db, &shares, limit, lease, worker, now).await
}

/// As [`claim`], with a limit for each kind beside the one for all.
pub(crate) async fn claim_shares(
    db: impl PgExecutor<'_>,
    shares: &[(&str, i32)],
    limit: i64,
    lease: Duration,
    worker: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Claimed>, QueueError> {
    let (kinds, limits): (Vec<String>, Vec<i32>) =
        shares.iter().map(|(kind, limit)| ((*kind).to_owned(), *limit)).unzip();
    let mut claimed = sqlx::query_file_as!(
        Claimed,
        "src/claim.sql",
        &kinds,
        &limits,
        now,
        limit,
        lease.as_secs_f64(),
        worker
    )
    .fetch_all(db)
    .await?;
    claimed.sort_by_key(|job| (job.priority, job.due_at, job.id));
    Ok(claimed)
}

/// Renews all these leases (id, token) in one statement, to `lease` from now by the database's clock; returns
/// the ids that are still ours. One whose row is locked is left out: it would hold up all others, and [`crate::rescue`]
/// leaves it alone, too.
pub async fn heartbeat(
    db: impl PgExecutor<'_>,
    leases: &[(i64, Uuid)],
    lease: Duration,
) -> Result<Vec<i64>, QueueError> {
    let (ids, tokens): (Vec<i64>, Vec<Uuid>) = leases.iter().copied().unzip();
    let ours = sqlx::query_scalar!(
        "update jobs set lease_until = clock_timestamp() + make_interval(secs => $3)
         from (select id from jobs join unnest($1::bigint[], $2::uuid[]) as leases (id, token) using (id)
                where lease_token = token order by id for no key update of jobs skip locked) as free
         where jobs.id = free.id
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
            from unnest($1::bigint[], $2::uuid[]) as leases (id, token)
            where jobs.id = leases.id and jobs.lease_token = leases.token
            returning kind
        )
        select count(*) as "released!",
               case when count(*) > 0 then
                   announce('jobs', case when min(kind) = max(kind) then min(kind) else '' end)
               end as announced
        from back
        "#,
        &ids,
        &tokens
    )
    .fetch_one(db)
    .await?;
    Ok(u64::try_from(row.released).unwrap_or_default())
}
