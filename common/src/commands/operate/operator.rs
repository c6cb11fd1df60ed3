//! Actions on an operator's account.

use sqlx::PgConnection;
use uuid::Uuid;

use super::request::{ActionError, ActionRequest};
use crate::domain::action::{Effect, Refusal};
use crate::store::operator_totp;

/// Takes a lost second factor away: the password alone suffices until its operator sets up another.
pub(super) async fn reset_totp(
    conn: &mut PgConnection,
    id: Uuid,
    request: &ActionRequest<'_>,
) -> Result<Vec<Effect>, ActionError> {
    // Whoever found an open session must not take the codes away with it: its own operator shows a code, or has access to
    // the command line.
    if request.actor.operator_id == Some(id) {
        return Err(Refusal::OwnTotp.into());
    }
    if operator_totp::delete(conn, id).await? {
        Ok(vec![Effect::PasswordSuffices])
    } else {
        Err(Refusal::NoTotp.into())
    }
}
