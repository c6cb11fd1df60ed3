//! Accepting a discrepancy: an operator has looked into it and leaves it as it is.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::{ActionError, ActionRequest};
use crate::domain::action::{Effect, Refusal};
use crate::store::discrepancies;

/// No alarm any more, unless its amounts change.
pub(super) async fn accept(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let (by, why) = (request.actor.as_str(), request.reason.as_str());
    match discrepancies::accept(conn, id, by, why, now).await? {
        Some(_) => Ok(vec![Effect::DiscrepancyIsAccepted]),
        None => Err(Refusal::DiscrepancyResolved.into()),
    }
}
