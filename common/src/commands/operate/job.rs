//! Actions on a job: run it now, put it off, take it off the table.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::request::{ActionError, ActionRequest};
use crate::domain::action::{Effect, Refusal};

/// As long as a finished job is kept.
const MAX_SNOOZE: TimeDelta = TimeDelta::days(90);

pub(super) async fn retry(
    conn: &mut PgConnection,
    id: i64,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let job = queue::retry_now(conn, id, now, request.actor.as_str()).await?;
    Ok(vec![Effect::JobRuns { job }])
}

pub(super) async fn snooze(
    conn: &mut PgConnection,
    id: i64,
    until: DateTime<Utc>,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    if until <= now || until > now + MAX_SNOOZE {
        return Err(Refusal::SnoozeOutOfRange.into());
    }
    queue::postpone(conn, id, until, &noted(request)).await?;
    Ok(vec![Effect::JobWaits { until }])
}

pub(super) async fn discard(
    conn: &mut PgConnection,
    id: i64,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    queue::discard(conn, id, now, &noted(request)).await?;
    Ok(vec![Effect::JobIsDiscarded, Effect::SweepMayMakeAnother])
}

fn noted(request: &ActionRequest<'_>) -> String {
    format!("{} ({})", request.reason, request.actor)
}
