//! What stands between a job and the gateway: the breaker, and whether this database belongs to this installation.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use crate::domain::breaker::{Breaker, GatewayAccount};

/// An installation: its `INSTANCE_ID`, and a fingerprint of the secret key that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub merchant: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "StatusRow")]
pub struct GatewayStatus {
    pub widget: Breaker,
    pub billing: Breaker,
    /// The installation this database is bound to, once one has begun to charge from it.
    pub bound_to: Option<Instance>,
    /// Fingerprints of further secret keys that Toss has shown to be the same merchant's.
    pub known_keys: Vec<String>,
    /// The operators' global kill switch.
    pub charging_enabled: bool,
}

impl GatewayStatus {
    pub fn breaker(&self, account: GatewayAccount) -> Breaker {
        match account {
            GatewayAccount::Widget => self.widget,
            GatewayAccount::Billing => self.billing,
        }
    }

    /// For people: the failures of the account that has more of them, and how long any account is left alone.
    pub fn worst(&self) -> Breaker {
        Breaker {
            failures: self.widget.failures.max(self.billing.failures),
            open_until: self.widget.open_until.max(self.billing.open_until),
        }
    }
}

/// As the function of the database answers it.
#[derive(Deserialize)]
struct StatusRow {
    widget: Breaker,
    billing: Breaker,
    instance: Option<InstanceRow>,
    charging_enabled: bool,
}

#[derive(Deserialize)]
struct InstanceRow {
    id: Option<String>,
    merchant: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
}

impl From<StatusRow> for GatewayStatus {
    fn from(row: StatusRow) -> Self {
        let StatusRow { widget, billing, instance, charging_enabled } = row;
        let (bound_to, known_keys) = match instance {
            Some(InstanceRow { id, merchant, keys }) => {
                (id.zip(merchant).map(|(id, merchant)| Instance { id, merchant }), keys)
            }
            None => (None, Vec::new()),
        };
        Self { widget, billing, bound_to, known_keys, charging_enabled }
    }
}

pub async fn read(conn: &mut PgConnection) -> Result<GatewayStatus, StoreError> {
    let Json(status) = sqlx::query_scalar!(r#"select gateway_status() as "status!: Json<GatewayStatus>""#)
        .fetch_one(conn)
        .await?;
    Ok(status)
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

/// From now on this secret key is known to be the same merchant's. The old one stays known: during a change of keys workers
/// hold either.
pub async fn accept_key(conn: &mut PgConnection, fingerprint: &str) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update settings
           set value = jsonb_set(value, '{keys}', coalesce(value->'keys', '[]') || to_jsonb($1::text))
         where name = 'instance' and not coalesce(value->'keys', '[]') ? $1
        "#,
        fingerprint,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant that this account charges for: the first one that Toss named since the database was bound. `named` becomes it
/// where there is none yet. `None`: the database is bound to no installation.
pub async fn bind_merchant(
    conn: &mut PgConnection,
    account: GatewayAccount,
    named: &str,
) -> Result<Option<String>, StoreError> {
    let account = <&str>::from(account);
    if let Some(bound) = merchant_of(conn, account).await? {
        return Ok(Some(bound));
    }
    sqlx::query!(
        r#"
        update settings
           set value = jsonb_set(value, '{merchants}',
                                 coalesce(value->'merchants', '{}') || jsonb_build_object($1::text, $2::text))
         where name = 'instance' and value->'merchants'->>$1 is null
        "#,
        account,
        named,
    )
    .execute(&mut *conn)
    .await?;
    merchant_of(conn, account).await
}

async fn merchant_of(conn: &mut PgConnection, account: &str) -> Result<Option<String>, StoreError> {
    let merchant = sqlx::query_scalar!(
        "select value->'merchants'->>$1 as merchant from settings where name = 'instance'",
        account
    )
    .fetch_optional(conn)
    .await?;
    Ok(merchant.flatten())
}

/// Frees the database for whichever installation starts next. An operator's decision.
pub async fn unbind(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("delete from settings where name = 'instance'").execute(conn).await?;
    Ok(())
}

/// One job may ask although the breaker has been open: whoever gets here first. The others wait until `again_at`.
pub async fn take_probe(
    conn: &mut PgConnection,
    account: GatewayAccount,
    now: DateTime<Utc>,
    again_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update gateway_breaker set open_until = $3 where gateway = $1 and open_until <= $2",
        <&str>::from(account),
        now,
        again_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The holder of the probe until `until` has no answer: another job may take the probe now. Once an answer was recorded,
/// or another probe taken, nothing changes.
pub async fn give_probe_back(
    conn: &mut PgConnection,
    account: GatewayAccount,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update gateway_breaker set open_until = $3 where gateway = $1 and open_until = $2",
        <&str>::from(account),
        until,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The gateway works: whatever failed before is forgotten. Touches the row only if there is something to forget.
pub async fn gateway_works(conn: &mut PgConnection, account: GatewayAccount) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update gateway_breaker set failures = 0, failed_subjects = '{}', open_until = null, last_failure = null
         where gateway = $1 and failures > 0
        "#,
        <&str>::from(account),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A technical failure of a call.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    pub account: GatewayAccount,
    /// The subscription that the call was for.
    pub subject: Uuid,
    pub why: &'a str,
    pub is_probe: bool,
}

/// Counts one more technical failure. Answers the breaker as it stands then.
pub async fn gateway_failed(
    conn: &mut PgConnection,
    failure: Failure<'_>,
    now: DateTime<Utc>,
) -> Result<Breaker, StoreError> {
    let account = <&str>::from(failure.account);
    let row = sqlx::query!(
        r#"
        select failures, open_until, $2 = any(failed_subjects) as "is_known!"
          from gateway_breaker where gateway = $1 for update
        "#,
        account,
        failure.subject,
    )
    .fetch_one(&mut *conn)
    .await?;
    let before = Breaker { failures: row.failures, open_until: row.open_until };
    let after = before.after_failure(failure.is_probe, !row.is_known, now);
    if after == before {
        return Ok(after);
    }
    sqlx::query!(
        r#"
        update gateway_breaker
           set failures = $2, open_until = $3, last_failure = $4,
               failed_subjects = case when $6 then failed_subjects else failed_subjects || $5::uuid end
         where gateway = $1
        "#,
        account,
        after.failures,
        after.open_until,
        failure.why,
        failure.subject,
        // Once it is open, subjects decide nothing.
        row.is_known || before.open_until.is_some(),
    )
    .execute(conn)
    .await?;
    Ok(after)
}

/// The kinds of calls that share the rate. Each has a part of it for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// A buyer or a new card waits.
    Confirmation,
    Charge,
    Refund,
    LookUp,
    /// What anybody can cause from outside.
    Webhook,
}

/// Turns that were taken together: `count` calls may be made, the first `wait` from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    pub count: u32,
    pub wait: Duration,
}

/// Takes the next free turns to ask the gateway, where all lanes together have one turn each `every`: as many as the lane's part
/// of the rate has in `block`, one at least.
///
/// A call takes turns of its own lane or of the common one, whichever come first, or those of a lane which nobody uses at
/// this moment. No turn is further away than a minute: a database's clock that jumps back must not stop everything.
pub async fn take_turns(
    conn: &mut PgConnection,
    lane: Lane,
    every: Duration,
    block: Duration,
) -> Result<Turns, StoreError> {
    let lane = <&str>::from(lane);
    let (every, block) = (every.as_secs_f64(), block.as_secs_f64());
    if let Some(turns) = take_first_turns(conn, lane, (every, block), true).await? {
        return Ok(turns);
    }
    // A lane that nobody used was taken meanwhile.
    let own = take_first_turns(conn, lane, (every, block), false).await?;
    Ok(own.ok_or(sqlx::Error::RowNotFound)?)
}

async fn take_first_turns(
    conn: &mut PgConnection,
    lane: &str,
    (every, block): (f64, f64),
    may_borrow: bool,
) -> Result<Option<Turns>, StoreError> {
    // Its commit does not wait for the disk: a server that dies and forgets it lets one block of calls through twice.
    let row = sqlx::query!(
        r#"
        with first as (
            select lane, greatest(1, floor($3::float8 * share / $2::float8))::int as turns
              from gateway_pace
             where lane in ($1, 'common')
                -- A lane that Toss has put off does not go on with the turns of buyers who wait.
                or ($4 and next_turn <= statement_timestamp()
                    and not exists (select from gateway_pace own
                                     where own.lane = $1 and own.put_off_until > statement_timestamp()))
             order by greatest(next_turn, statement_timestamp()),
                      case lane when $1 then 0 when 'common' then 1 else 2 end
             limit 1
               for update)
        update gateway_pace pace
           set next_turn = least(greatest(pace.next_turn, clock_timestamp()), clock_timestamp() + interval '60 s')
                           + make_interval(secs => first.turns * $2 / pace.share)
          from first, set_config('synchronous_commit', 'off', true)
         where pace.lane = first.lane
        returning first.turns as "turns!",
                  extract(epoch from pace.next_turn - clock_timestamp())::float8 - first.turns * $2 / pace.share as "wait!"
        "#,
        lane,
        every,
        block,
        may_borrow,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Turns {
        count: u32::try_from(row.turns).unwrap_or(1),
        wait: Duration::try_from_secs_f64(row.wait).unwrap_or_default(),
    }))
}

/// Nobody asks the gateway for so long: it said so. Buyers who wait are put off by 20 seconds at most.
pub async fn put_off_turns(conn: &mut PgConnection, wait: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        with pause as (
            select lane, clock_timestamp() + make_interval(secs =>
                             least($1::float8, case lane when 'confirmation' then 20 else 60 end)) as until
              from gateway_pace)
        update gateway_pace pace
           set next_turn = greatest(next_turn, pause.until), put_off_until = greatest(put_off_until, pause.until)
          from pause where pause.lane = pace.lane
        "#,
        wait.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
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
