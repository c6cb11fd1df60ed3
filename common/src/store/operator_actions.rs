//! The audit log of operators: one row per action, appended in the transaction of the change.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::action::TargetKind;
use crate::domain::actor::{Actor, Reason};

/// One row to append.
#[derive(Debug, Clone, Copy)]
pub struct NewAction<'a> {
    pub actor: &'a Actor,
    /// E.g. `payment.refund`.
    pub action: &'a str,
    pub target_kind: TargetKind,
    /// The row's own id, or a name such as a plan's code.
    pub target_id: &'a str,
    /// The subscription that the target belongs to, where there is one.
    pub subscription_id: Option<Uuid>,
    pub reason: &'a Reason,
    pub before: &'a Value,
    pub after: &'a Value,
    pub request_key: Option<&'a str>,
    pub bulk_id: Option<Uuid>,
}

/// A row as people read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionRow {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub operator_id: Option<Uuid>,
    /// `console`, `api` or `command_line`.
    pub channel: String,
    pub os_user: Option<String>,
    pub address: Option<String>,
    pub action: String,
    pub target_kind: String,
    pub target_id: String,
    pub subscription_id: Option<Uuid>,
    pub reason: String,
    pub before: Value,
    pub after: Value,
    pub bulk_id: Option<Uuid>,
}

/// Which rows; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub target_kind: Option<TargetKind>,
    pub target_id: Option<String>,
    pub subscription_id: Option<Uuid>,
    pub bulk_id: Option<Uuid>,
    /// Written at or after.
    pub since: Option<DateTime<Utc>>,
    /// Written before.
    pub until: Option<DateTime<Utc>>,
    /// Only ids below this one: the last of the page before.
    pub before_id: Option<i64>,
}

/// Appends a row; answers its id.
pub async fn insert(
    conn: &mut PgConnection,
    new: &NewAction<'_>,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let Actor { operator_id, channel, os_user, address, .. } = new.actor;
    let id = sqlx::query_scalar!(
        r#"
        insert into operator_actions
            (at, actor, operator_id, channel, os_user, address, action, target_kind, target_id, subscription_id, reason,
             before, after, request_key, bulk_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        returning id
        "#,
        now,
        new.actor.as_str(),
        *operator_id,
        <&str>::from(*channel),
        os_user.as_deref(),
        address.as_deref(),
        new.action,
        <&str>::from(new.target_kind),
        new.target_id,
        new.subscription_id,
        new.reason.as_str(),
        new.before,
        new.after,
        new.request_key,
        new.bulk_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(id)
}

/// The action that was recorded under this key.
pub async fn of_key(conn: &mut PgConnection, request_key: &str) -> Result<Option<ActionRow>, StoreError> {
    let row = sqlx::query_as!(
        ActionRow,
        r#"
        select id, at, actor, operator_id, channel, os_user, address, action, target_kind, target_id, subscription_id,
               reason, before, after, bulk_id
          from operator_actions where request_key = $1
        "#,
        request_key
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// Newest first.
pub async fn page(
    conn: &mut PgConnection,
    filter: &ActionFilter,
    limit: i64,
) -> Result<Vec<ActionRow>, StoreError> {
    let rows = sqlx::query_as!(
        ActionRow,
        r#"
        select id, at, actor, operator_id, channel, os_user, address, action, target_kind, target_id, subscription_id,
               reason, before, after, bulk_id
          from operator_actions
         where ($1::text is null or actor = $1) and ($2::text is null or action = $2)
           and ($3::text is null or target_kind = $3) and ($4::text is null or target_id = $4)
           and ($5::uuid is null or subscription_id = $5) and ($6::uuid is null or bulk_id = $6)
           and ($7::timestamptz is null or at >= $7) and ($8::timestamptz is null or at < $8)
           and ($9::bigint is null or id < $9)
         order by id desc limit $10
        "#,
        filter.actor,
        filter.action,
        filter.target_kind.map(<&str>::from),
        filter.target_id,
        filter.subscription_id,
        filter.bulk_id,
        filter.since,
        filter.until,
        filter.before_id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
