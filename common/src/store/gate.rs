//! What stands between a job and the gateway: the breaker, and whether this database belongs to this installation.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::breaker::Breaker;

/// An installation: its `INSTANCE_ID`, and a fingerprint of the merchant whose keys it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub merchant: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayStatus {
    pub breaker: Breaker,
    /// The installation this database is bound to, once one has begun to charge from it.
    pub bound_to: Option<Instance>,
}

pub async fn read(conn: &mut PgConnection) -> Result<GatewayStatus, StoreError> {
    let row = sqlx::query!(
        r#"
        select breaker.failures, breaker.open_until,
               instance.value->>'id' as "id?", instance.value->>'merchant' as "merchant?"
          from gateway_breaker breaker left join settings instance on instance.name = 'instance'
         where breaker.gateway = 'toss'
        "#
    )
    .fetch_one(conn)
    .await?;
    Ok(GatewayStatus {
        breaker: Breaker { failures: row.failures, open_until: row.open_until },
        bound_to: row.id.zip(row.merchant).map(|(id, merchant)| Instance { id, merchant }),
    })
}

/// Binds the database to this installation unless it is bound already. Answers whom it belongs to then.
pub async fn bind(conn: &mut PgConnection, instance: &Instance) -> Result<Option<Instance>, StoreError> {
    sqlx::query!(
        "insert into settings (name, value) values ('instance', $1) on conflict (name) do nothing",
        json!({ "id": instance.id, "merchant": instance.merchant }),
    )
    .execute(&mut *conn)
    .await?;
    Ok(read(conn).await?.bound_to)
}

/// Frees the database for whichever installation starts next. An operator's decision.
pub async fn unbind(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("delete from settings where name = 'instance'").execute(conn).await?;
    Ok(())
}

/// One job may ask although the breaker has been open: whoever gets here first. The others wait until `again_at`.
pub async fn take_probe(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    again_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update gateway_breaker set open_until = $2 where gateway = 'toss' and open_until <= $1",
        now,
        again_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The gateway works: whatever failed before is forgotten. Touches the row only if there is something to forget.
pub async fn gateway_works(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update gateway_breaker set failures = 0, open_until = null, last_failure = null
         where gateway = 'toss' and failures > 0
        "#
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts one more technical failure. Answers the breaker as it stands then.
pub async fn gateway_failed(
    conn: &mut PgConnection,
    why: &str,
    is_probe: bool,
    now: DateTime<Utc>,
) -> Result<Breaker, StoreError> {
    let row =
        sqlx::query!("select failures, open_until from gateway_breaker where gateway = 'toss' for update")
            .fetch_one(&mut *conn)
            .await?;
    let before = Breaker { failures: row.failures, open_until: row.open_until };
    let after = before.after_failure(is_probe, now);
    if after == before {
        return Ok(after);
    }
    sqlx::query!(
        "update gateway_breaker set failures = $1, open_until = $2, last_failure = $3 where gateway = 'toss'",
        after.failures,
        after.open_until,
        why,
    )
    .execute(conn)
    .await?;
    Ok(after)
}

/// Takes the next free turn to ask the gateway, `every` after the one before. Answers how long to wait for it.
pub async fn take_turn(conn: &mut PgConnection, every: Duration) -> Result<Duration, StoreError> {
    let row = sqlx::query!(
        r#"
        update gateway_pace
           set next_turn = greatest(next_turn, clock_timestamp()) + make_interval(secs => $1)
         where gateway = 'toss'
        returning extract(epoch from next_turn - clock_timestamp())::float8 - $1 as "wait!"
        "#,
        every.as_secs_f64(),
    )
    .fetch_one(conn)
    .await?;
    Ok(Duration::try_from_secs_f64(row.wait).unwrap_or_default())
}

/// The number of first charges that decide whether something is wrong for everybody.
///
/// It is bounded: the cost stays the same on a large day, and a good morning hides no bad noon.
const TRIES_THAT_DECIDE: i64 = 50;

/// How the latest first charges of renewals since `since` have gone: (declined, all of them).
pub async fn first_tries_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query!(
        r#"
        select count(*) filter (where status = 'failed' and decline_kind is not null) as "declined!", count(*) as "settled!"
          from (select status, decline_kind from payments
                 where kind = 'renewal' and attempt_no = 1 and settled_at >= $1
                 order by settled_at desc
                 limit $2) as latest
        "#,
        since,
        TRIES_THAT_DECIDE,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.declined, row.settled))
}
