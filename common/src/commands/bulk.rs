//! Actions on everything that matches a filter: a dry run, the start, one item at a time, and a stop.
//!
//! The items are written when it starts, so what comes later is not part of it. Each item is an action of its own with
//! its own row of the audit log, in a transaction of its own: a death loses nothing and repeats nothing.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::operate;
use super::operate::{ActionError, ActionRequest};
use crate::domain::actor::{Actor, Reason};
use crate::domain::bulk::{BulkAction, BulkFilter};
use crate::email::Brand;
use crate::id::new_id;
use crate::jobs;
use crate::jobs::{QueueError, RunBulkAction};
use crate::store::bulk_actions::{BulkItem, BulkRow, CandidateGroup, NewBulkAction};
use crate::store::{StoreError, bulk_actions};

/// More than that is not one decision any more.
const MAX_ITEMS: i64 = 100_000;

#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    #[error("nothing that matches can be done")]
    NothingToDo,
    #[error("{0} match: at most 100,000 at once, narrow the filter")]
    TooMany(i64),
    #[error("{now} match now, {seen} were shown")]
    Changed { seen: i64, now: i64 },
    #[error("there is no bulk action {0}")]
    NotFound(Uuid),
    #[error("the bulk action has ended already")]
    Ended,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a bulk action would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkDryRun {
    pub action: String,
    pub filter: BulkFilter,
    /// How many it would be done to.
    pub total: i64,
    /// Won that they are about.
    pub amount: i64,
    /// What matches as well, by why it is left out.
    pub left_out: Vec<CandidateGroup>,
}

/// Counts; writes nothing.
pub async fn dry_run_bulk(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &BulkFilter,
) -> Result<BulkDryRun, StoreError> {
    let groups = bulk_actions::candidates(conn, action.into(), filter).await?;
    let (possible, left_out): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.why_not.is_none());
    let (total, amount) = possible.first().map_or((0, 0), |group| (group.count, group.amount));
    Ok(BulkDryRun { action: action.to_string(), filter: filter.clone(), total, amount, left_out })
}

/// Who begins which bulk action, and why.
#[derive(Debug, Clone, Copy)]
pub struct BulkRequest<'a> {
    pub action: BulkAction,
    pub filter: &'a BulkFilter,
    pub actor: &'a Actor,
    pub reason: &'a Reason,
    /// How many the operator was shown. `None`: as many as there are.
    pub seen: Option<i64>,
    /// Names one submitted form: the same key again is the same bulk action.
    pub key: Option<&'a str>,
}

/// Writes the items and the job that works them off. The caller commits.
pub async fn start_bulk(
    conn: &mut PgConnection,
    request: &BulkRequest<'_>,
    now: DateTime<Utc>,
) -> Result<BulkRow, BulkError> {
    if let Some(key) = request.key
        && let Some(id) = bulk_actions::of_key(conn, key).await?
    {
        return find(conn, id).await;
    }
    let BulkDryRun { total, amount, .. } = dry_run_bulk(conn, request.action, request.filter).await?;
    match (total, request.seen) {
        (0, _) => return Err(BulkError::NothingToDo),
        (total, _) if total > MAX_ITEMS => return Err(BulkError::TooMany(total)),
        (now, Some(seen)) if now != seen => return Err(BulkError::Changed { seen, now }),
        _ => {}
    }
    let (id, action) = (new_id(now), <&str>::from(request.action));
    let new = NewBulkAction {
        id,
        actor: request.actor,
        action,
        filter: request.filter,
        reason: request.reason.as_str(),
        request_key: request.key,
        total: i32::try_from(total).unwrap_or(i32::MAX),
        amount,
    };
    bulk_actions::insert(conn, &new, now).await?;
    let written = bulk_actions::insert_items(conn, id, action, request.filter).await?;
    let written = i64::try_from(written).unwrap_or(i64::MAX);
    if written != total {
        return Err(BulkError::Changed { seen: total, now: written });
    }
    jobs::enqueue(conn, &RunBulkAction { bulk_id: id }, now, now).await?;
    tracing::info!(bulk.id = %id, action, total, amount, actor = request.actor.as_str(), "bulk action started");
    find(conn, id).await
}

async fn find(conn: &mut PgConnection, id: Uuid) -> Result<BulkRow, BulkError> {
    bulk_actions::find(conn, id).await?.ok_or(BulkError::NotFound(id))
}

/// No further item begins. The caller commits.
pub async fn stop_bulk(
    conn: &mut PgConnection,
    id: Uuid,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<BulkRow, BulkError> {
    find(conn, id).await?;
    if !bulk_actions::stop(conn, id, actor.as_str(), now).await? {
        return Err(BulkError::Ended);
    }
    tracing::info!(bulk.id = %id, actor = actor.as_str(), "bulk action stopped");
    find(conn, id).await
}

/// How one step of a bulk action went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkStep {
    Done,
    Skipped,
    /// No item is left, or the bulk action was stopped: the caller rolls back and ends.
    Over,
}

/// Does the next item and settles it. The caller commits each step.
///
/// An item that is refused, or fails for itself, is skipped with its reason: it does not keep the others waiting.
pub async fn do_next_item(
    conn: &mut PgConnection,
    brand: &Brand,
    (bulk, actor): (&BulkRow, &Actor),
    now: DateTime<Utc>,
) -> Result<BulkStep, StoreError> {
    let Some(item) = bulk_actions::next_item(conn, bulk.id).await? else { return Ok(BulkStep::Over) };
    let mut savepoint = conn.begin().await?;
    let done = do_item(&mut savepoint, brand, (bulk, actor), &item, now).await;
    let done = done.map_err(|error| match error {
        ActionError::Queue(error) => ActionError::Store(error.into()),
        other => other,
    });
    let skipped_because = match done {
        Ok(()) => {
            savepoint.commit().await?;
            None
        }
        Err(ActionError::Store(error)) if error.is_unavailable() => return Err(error),
        Err(refused) => {
            savepoint.rollback().await?;
            Some(refused.to_string())
        }
    };
    let note = skipped_because.as_deref();
    if !bulk_actions::settle_item(conn, bulk.id, item.position, note, now).await? {
        return Ok(BulkStep::Over);
    }
    Ok(if skipped_because.is_none() { BulkStep::Done } else { BulkStep::Skipped })
}

async fn do_item(
    conn: &mut PgConnection,
    brand: &Brand,
    (bulk, actor): (&BulkRow, &Actor),
    item: &BulkItem,
    now: DateTime<Utc>,
) -> Result<(), ActionError> {
    let unknown = || StoreError::Inconsistent {
        table: "bulk_items",
        column: "target_id",
        value: item.target_id.clone(),
    };
    let action = bulk.action.parse().ok().and_then(|action: BulkAction| action.of_item(&item.target_id));
    let action = action.ok_or_else(unknown)?;
    let reason = Reason::parse(&bulk.reason).map_err(|_| unknown())?;
    // The audit log takes each item once, whatever becomes of the job.
    let key = format!("bulk:{}:{}", bulk.id, item.position);
    let request = ActionRequest {
        action: &action,
        actor,
        reason: &reason,
        seen: None,
        key: Some(&key),
        bulk_id: Some(bulk.id),
    };
    operate::perform(conn, brand, &request, now).await?;
    Ok(())
}
