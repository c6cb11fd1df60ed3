//! Actions on an operator's account.

use sqlx::PgConnection;
use uuid::Uuid;

use super::request::ActionError;
use crate::domain::action::{Effect, Refusal};
use crate::store::operator_totp;

/// Takes a lost second factor away: the password alone suffices until its operator sets up another.
pub(super) async fn reset_totp(conn: &mut PgConnection, id: Uuid) -> Result<Vec<Effect>, ActionError> {
    if operator_totp::delete(conn, id).await? {
        Ok(vec![Effect::PasswordSuffices])
    } else {
        Err(Refusal::NoTotp.into())
    }
}
