//! The one way into the operators' audit log.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::action::Target;
use crate::domain::actor::{Actor, Reason};
use crate::store::operator_actions::NewAction;
use crate::store::{StoreError, action_targets, operator_actions};

/// Appends the row of a change, in the transaction of the change. Returns the row's id.
pub async fn record(
    conn: &mut PgConnection,
    change: &NewAction<'_>,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let id = operator_actions::insert(conn, change, now).await?;
    let (actor, kind) = (change.actor.as_str(), <&str>::from(change.target_kind));
    tracing::info!(
        action = change.action,
        actor,
        target.kind = kind,
        target.id = change.target_id,
        "operator's action"
    );
    Ok(id)
}

/// A change that a command outside this module makes.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub actor: &'a Actor,
    /// E.g. `payment.refund`.
    pub action: &'a str,
    pub target: Target,
    pub reason: &'a Reason,
}

/// Holds the target, makes the change, and appends its row. A change that leaves the target as it was has none: a repeated
/// request is on record once.
pub async fn recorded<T, E: From<StoreError>>(
    conn: &mut PgConnection,
    change: Change<'_>,
    now: DateTime<Utc>,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let Change { actor, action, target, reason } = change;
    let before = action_targets::lock(conn, target).await?;
    let done = work(conn).await?;
    let after = action_targets::read(conn, target).await?;
    if before != after {
        let subscription_id = before.as_ref().or(after.as_ref()).and_then(|state| state.subscription_id);
        let row = NewAction {
            actor,
            action,
            target_kind: target.kind(),
            target_id: &target.id(),
            subscription_id,
            reason,
            before: &before.map_or_else(empty, |before| before.state),
            after: &after.map_or_else(empty, |after| after.state),
            request_key: None,
            bulk_id: None,
        };
        record(conn, &row, now).await?;
    }
    Ok(done)
}

/// Appends the row of a change of an operator that explains itself, in the transaction of the change.
pub async fn record_operator(
    conn: &mut PgConnection,
    actor: &Actor,
    (action, operator_id, why): (&str, Uuid, &'static str),
    (before, after): (&Value, &Value),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let target = Target::Operator(operator_id);
    let row = NewAction {
        actor,
        action,
        target_kind: target.kind(),
        target_id: &target.id(),
        subscription_id: None,
        reason: &Reason::of_program(why),
        before,
        after,
        request_key: None,
        bulk_id: None,
    };
    record(conn, &row, now).await.map(drop)
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}
