//! What workers left behind: leases that ran out, and kinds nobody runs.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;

use crate::error::QueueError;

/// A try whose worker stopped answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The try.
    pub id: i64,
    /// Its kind.
    pub kind: String,
    /// True if it crashed its worker too often and waits for an operator; false if it may run again.
    pub parked: bool,
}

/// Takes back tries whose lease ran out by the database's clock, counting the crash; the `max_crashes`-th parks the try.
///
/// Nothing is taken in the first `lease` after the database started: the workers could not renew while it was away.
pub async fn rescue(
    db: impl PgExecutor<'_>,
    lease: Duration,
    max_crashes: i32,
) -> Result<Vec<Rescued>, QueueError> {
    let rescued = sqlx::query!(
        r#"
        with expired as (
            select id from jobs
            where state = 'running' and lease_until < clock_timestamp()
              and pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $1)
            order by id limit 1000 for update skip locked
        ), back as (
            update jobs
            set crashes = crashes + 1, lease_token = null, lease_until = null,
                state = case when crashes + 1 >= $2 then 'parked' else 'available' end,
                last_error = format('worker %s stopped answering while it ran this job (crash %s of %s)',
                                    worker, crashes + 1, $2::integer)
            from expired where jobs.id = expired.id
            returning jobs.id, kind, state
        ), announced as (
            select announce('jobs', case when min(kind) = max(kind) then min(kind) else '' end) as nothing
            from back where state = 'available' having count(*) > 0
        )
        select id, kind, state = 'parked' as "parked!", (select nothing from announced) as announced from back
        "#,
        lease.as_secs_f64(),
        max_crashes
    )
    .fetch_all(db)
    .await?;
    Ok(rescued.into_iter().map(|row| Rescued { id: row.id, kind: row.kind, parked: row.parked }).collect())
}

/// Fails jobs of a kind that is not in `known` and that have been due for longer than `grace`; returns how many.
///
/// The grace is for deployments: a newer process may already enqueue kinds that this one does not know.
pub async fn sweep_unknown_kinds(
    db: impl PgExecutor<'_>,
    known: &[&str],
    grace: Duration,
    now: DateTime<Utc>,
) -> Result<u64, QueueError> {
    let known: Vec<String> = known.iter().map(|kind| (*kind).to_owned()).collect();
    let waiting_since = TimeDelta::from_std(grace).ok().and_then(|grace| now.checked_sub_signed(grace));
    let swept = sqlx::query!(
        "update jobs
         set state = 'failed', finished_at = $3, last_error = format('no worker knows jobs of the kind %s', kind)
         where state = 'available' and kind <> all($1::text[]) and run_at < $2",
        &known,
        waiting_since.unwrap_or(DateTime::<Utc>::MIN_UTC),
        now
    )
    .execute(db)
    .await?;
    Ok(swept.rows_affected())
}
