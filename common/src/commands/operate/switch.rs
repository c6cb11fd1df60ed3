//! The switches over all charges and over all outgoing events.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::request::{ActionError, ActionRequest};
use crate::domain::action::{Effect, Refusal};
use crate::store::{settings, webhook_deliveries};

pub(super) async fn charging(
    conn: &mut PgConnection,
    on: bool,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    settings::switch_charging(conn, on, request.actor.as_str(), request.reason.as_str(), now).await?;
    Ok(vec![if on { Effect::ChargesGoOn } else { Effect::ChargesPause }])
}

pub(super) async fn events(
    conn: &mut PgConnection,
    on: bool,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let (actor, why) = (request.actor.as_str(), request.reason.as_str());
    if !webhook_deliveries::switch_endpoint(conn, on, actor, why, now).await? {
        return Err(Refusal::NoEndpoint.into());
    }
    Ok(vec![if on { Effect::EventsGoOn } else { Effect::EventsPause }])
}
