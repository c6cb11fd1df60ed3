//! Bulk actions: what they can be done to, their items, and how far they have come.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, known, one_row};
use crate::domain::{actor::Actor, bulk::BulkFilter};

/// Things that match a filter, counted by why the action is not possible; `None`: it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateGroup {
    pub why_not: Option<String>,
    pub count: i64,
    /// Won.
    pub amount: i64,
}

/// Counts what matches.
pub async fn candidates(
    conn: &mut PgConnection,
    action: &str,
    filter: &BulkFilter,
) -> Result<Vec<CandidateGroup>, StoreError> {
    let BulkFilter { kind, state, error_group, since, until } = filter;
    let groups = sqlx::query_as!(
        CandidateGroup,
        r#"
        select why_not, count(*) as "count!", coalesce(sum(amount), 0)::bigint as "amount!"
          from bulk_candidates
         where action = $1 and ($2::text is null or kind = $2) and ($3::text is null or state = $3)
           and ($4::text is null or error_group = $4)
           and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
         group by why_not order by why_not nulls first
        "#,
        action,
        kind.as_deref(),
        state.as_deref(),
        error_group.as_deref(),
        *since,
        *until,
    )
    .fetch_all(conn)
    .await?;
    Ok(groups)
}

/// One bulk action to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewBulkAction<'a> {
    pub id: Uuid,
    pub actor: &'a Actor,
    pub action: &'a str,
    pub filter: &'a BulkFilter,
    pub reason: &'a str,
    pub request_key: Option<&'a str>,
    pub total: i32,
    /// Won.
    pub amount: i64,
}

pub async fn insert(
    conn: &mut PgConnection,
    new: &NewBulkAction<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Actor { operator_id, channel, os_user, address, .. } = new.actor;
    sqlx::query!(
        r#"
        insert into bulk_actions
            (id, created_at, actor, operator_id, channel, os_user, address, action, filter, reason, request_key, total, amount)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        "#,
        new.id,
        now,
        new.actor.as_str(),
        *operator_id,
        <&str>::from(*channel),
        os_user.as_deref(),
        address.as_deref(),
        new.action,
        serde_json::to_value(new.filter).unwrap_or_default(),
        new.reason,
        new.request_key,
        new.total,
        new.amount,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the items: everything that matches and to which the action is possible. Answers how many there are.
pub async fn insert_items(
    conn: &mut PgConnection,
    bulk_id: Uuid,
    action: &str,
    filter: &BulkFilter,
) -> Result<u64, StoreError> {
    let BulkFilter { kind, state, error_group, since, until } = filter;
    let done = sqlx::query!(
        r#"
        insert into bulk_items (bulk_id, position, target_id)
        select $7, row_number() over (order by at, target_id), target_id
          from bulk_candidates
         where why_not is null and action = $1 and ($2::text is null or kind = $2) and ($3::text is null or state = $3)
           and ($4::text is null or error_group = $4)
           and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
        "#,
        action,
        kind.as_deref(),
        state.as_deref(),
        error_group.as_deref(),
        *since,
        *until,
        bulk_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A bulk action as people read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkRow {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub filter: Value,
    pub reason: String,
    pub total: i32,
    /// Won.
    pub amount: i64,
    pub done: i32,
    pub skipped: i32,
    /// `running`, `stopped` or `finished`.
    pub state: String,
    pub stopped_by: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<BulkRow>, StoreError> {
    let row = sqlx::query_as!(
        BulkRow,
        r#"
        select id, created_at, actor, action, filter, reason, total, amount, done, skipped, state, stopped_by, ended_at
          from bulk_actions where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// The bulk action that was begun under this key.
pub async fn of_key(conn: &mut PgConnection, request_key: &str) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!("select id from bulk_actions where request_key = $1", request_key)
        .fetch_optional(conn)
        .await?;
    Ok(id)
}

/// Newest first. `before` is the last one seen.
pub async fn page(
    conn: &mut PgConnection,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<BulkRow>, StoreError> {
    let rows = sqlx::query_as!(
        BulkRow,
        r#"
        select id, created_at, actor, action, filter, reason, total, amount, done, skipped, state, stopped_by, ended_at
          from bulk_actions where $1::uuid is null or id < $1 order by id desc limit $2
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Who began it: each item is done in their name.
pub async fn actor_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<Actor>, StoreError> {
    let row = sqlx::query!(
        "select actor, operator_id, channel, os_user, address from bulk_actions where id = $1",
        id
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let channel = known("bulk_actions", "channel", &row.channel)?;
    Ok(Some(Actor::recorded(row.actor, row.operator_id, channel, row.os_user, row.address)))
}

/// An item that is still to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkItem {
    pub position: i32,
    pub target_id: String,
}

/// The next item, its row held, unless another worker has it.
pub async fn next_item(conn: &mut PgConnection, bulk_id: Uuid) -> Result<Option<BulkItem>, StoreError> {
    let item = sqlx::query_as!(
        BulkItem,
        r#"
        select position, target_id from bulk_items
         where bulk_id = $1 and outcome is null order by position limit 1 for update skip locked
        "#,
        bulk_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(item)
}

/// Settles an item and counts it. Answers false when the bulk action was stopped meanwhile: the caller rolls back.
pub async fn settle_item(
    conn: &mut PgConnection,
    bulk_id: Uuid,
    position: i32,
    skipped_because: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        update bulk_items
           set outcome = case when $3::text is null then 'done' else 'skipped' end, note = $3, settled_at = $4
         where bulk_id = $1 and position = $2 and outcome is null
        "#,
        bulk_id,
        position,
        skipped_because,
        now,
    )
    .execute(&mut *conn)
    .await?;
    one_row("settle an item of a bulk action", &done)?;
    let counted = sqlx::query!(
        r#"
        update bulk_actions
           set done = done + ($2::text is null)::int, skipped = skipped + ($2::text is not null)::int
         where id = $1 and state = 'running'
        "#,
        bulk_id,
        skipped_because,
    )
    .execute(conn)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// Ends a bulk action whose items are all settled. Answers whether it was running.
pub async fn finish(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update bulk_actions set state = 'finished', ended_at = $2 where id = $1 and state = 'running' and done + skipped = total",
        id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stops a running bulk action: no further item begins. Answers whether it was running.
pub async fn stop(
    conn: &mut PgConnection,
    id: Uuid,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update bulk_actions set state = 'stopped', stopped_by = $2, ended_at = $3 where id = $1 and state = 'running'",
        id,
        by,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Items that were not done, in order, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedItem {
    pub position: i32,
    pub target_id: String,
    pub note: String,
}

pub async fn skipped_items(
    conn: &mut PgConnection,
    bulk_id: Uuid,
    after: i32,
    limit: i64,
) -> Result<Vec<SkippedItem>, StoreError> {
    let items = sqlx::query_as!(
        SkippedItem,
        r#"
        select position, target_id, note as "note!" from bulk_items
         where bulk_id = $1 and outcome = 'skipped' and position > $2 order by position limit $3
        "#,
        bulk_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(items)
}
