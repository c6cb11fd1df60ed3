//! Replaying an outgoing event: it is delivered again under its old id.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::ActionError;
use crate::domain::action::{Effect, Refusal};
use crate::store::sweep::make_delivery_job;
use crate::store::webhook_deliveries;

pub(super) async fn replay(
    conn: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let endpoint = webhook_deliveries::endpoint(conn).await?;
    if !endpoint.enabled {
        let why = endpoint.why.unwrap_or_else(|| "no worker has had a WEBHOOK_URL".to_owned());
        return Err(Refusal::NobodyListens(why).into());
    }
    let subscription_id = webhook_deliveries::replay(conn, id).await?.ok_or(Refusal::EventWaits)?;
    make_delivery_job(conn, subscription_id, now).await?;
    Ok(vec![Effect::EventIsDelivered])
}
