//! Sending an e-mail again: a copy to the customer's newest address, or the e-mail itself where it still waits.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::{ActionError, ActionRequest};
use crate::commands::resend_email::{ResendError, ResendRequest, resend_email};
use crate::domain::action::{Effect, Refusal, Target};

pub(super) async fn resend(
    conn: &mut PgConnection,
    email_id: Uuid,
    request: &ActionRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Effect>, ActionError> {
    let (actor, reason) = (request.actor.as_str(), request.reason.as_str());
    let resent = resend_email(conn, ResendRequest { email_id, actor, reason }, now).await;
    let resent = resent.map_err(|error| match error {
        ResendError::NotFound => ActionError::NotFound(Target::Email(email_id)),
        ResendError::Erased => Refusal::CustomerErased.into(),
        ResendError::Store(error) => error.into(),
        ResendError::Queue(error) => error.into(),
    })?;
    Ok(vec![Effect::EmailIsSentAgain { email_id: resent.email_id }])
}
