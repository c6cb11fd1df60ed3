//! An operator's second factor: set up, checked at a login, and taken away by its operator.
//!
//! The secret is sealed under a key that only the API has, so that somebody who reads a dump, a replica or a backup cannot
//! compute codes. An admin's reset is an action of `operate`.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::operate::record_operator;
use crate::domain::actor::Actor;
use crate::domain::totp::{RECOVERY_CODES, SecondFactor, TotpSecret, recovery_code};
use crate::seal::{SealError, Sealer};
use crate::secret_token;
use crate::secret_token::NoRandomBytes;
use crate::store::operator_totp::Totp;
use crate::store::{StoreError, operator_totp, operators};

#[derive(Debug, thiserror::Error)]
pub enum SecondFactorError {
    #[error("the code is wrong, or was used before")]
    Wrong,
    #[error("a second factor is set up already")]
    IsOn,
    #[error("CONSOLE_TOTP_KEYS is not set: no secret of one-time codes can be sealed or opened")]
    NoKeys,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Random(#[from] NoRandomBytes),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new secret, to be shown to its operator.
pub fn new_secret() -> Result<TotpSecret, SecondFactorError> {
    Ok(TotpSecret::new(secret_token::random_bytes()?))
}

/// Checks what an operator gave besides the password, and uses it up. Passes where the operator has no second factor.
pub async fn check(
    conn: &mut PgConnection,
    sealer: Option<&Sealer>,
    operator_id: Uuid,
    given: &str,
) -> Result<(), SecondFactorError> {
    match operator_totp::find(conn, operator_id).await? {
        Some(totp) => use_up(conn, sealer, operator_id, &totp, given).await,
        None => Ok(()),
    }
}

async fn use_up(
    conn: &mut PgConnection,
    sealer: Option<&Sealer>,
    operator_id: Uuid,
    totp: &Totp,
    given: &str,
) -> Result<(), SecondFactorError> {
    let is_taken = match SecondFactor::parse(given) {
        None => false,
        // Works without the key, too: a lost key must not lock everybody out.
        Some(SecondFactor::RecoveryCode(code)) => {
            operator_totp::use_recovery_code(conn, operator_id, &secret_token::hash(&code)).await?
        }
        Some(SecondFactor::Code(code)) => {
            let opened = sealer.ok_or(SecondFactorError::NoKeys)?.open_totp(&totp.sealed, operator_id)?;
            let secret = TotpSecret::from_base64(opened.expose_secret()).ok_or(SealError::DoesNotOpen)?;
            match secret.matching_step(&code, totp.now, totp.last_step) {
                Some(step) => operator_totp::use_step(conn, operator_id, step).await?,
                None => false,
            }
        }
    };
    if is_taken { Ok(()) } else { Err(SecondFactorError::Wrong) }
}

/// Sets a second factor up after its operator has shown a code of it. Returns the recovery codes, which are shown once.
pub async fn turn_on(
    conn: &mut PgConnection,
    sealer: Option<&Sealer>,
    (actor, operator_id): (&Actor, Uuid),
    (secret, code): (&TotpSecret, &str),
    now: DateTime<Utc>,
) -> Result<Vec<String>, SecondFactorError> {
    let sealer = sealer.ok_or(SecondFactorError::NoKeys)?;
    let at = operator_totp::now(conn).await?;
    let step = match SecondFactor::parse(code) {
        Some(SecondFactor::Code(code)) => secret.matching_step(&code, at, 0),
        Some(SecondFactor::RecoveryCode(_)) | None => None,
    };
    let step = step.ok_or(SecondFactorError::Wrong)?;
    let codes = (0..RECOVERY_CODES).map(|_| secret_token::random_bytes().map(recovery_code));
    let codes = codes.collect::<Result<Vec<String>, NoRandomBytes>>()?;
    let hashes: Vec<Vec<u8>> =
        codes.iter().map(|code| secret_token::hash(&code.replace('-', "")).to_vec()).collect();
    let kept = sealer.seal_totp(&secret.to_base64(), operator_id)?;
    operators::lock(conn, operator_id).await?;
    if !operator_totp::insert(conn, operator_id, &kept, step, &hashes).await? {
        return Err(SecondFactorError::IsOn);
    }
    append(conn, (actor, operator_id), true, now).await?;
    Ok(codes)
}

/// Takes the second factor away on its operator's own word, which a code proves.
pub async fn turn_off(
    conn: &mut PgConnection,
    sealer: Option<&Sealer>,
    (actor, operator_id): (&Actor, Uuid),
    given: &str,
    now: DateTime<Utc>,
) -> Result<(), SecondFactorError> {
    operators::lock(conn, operator_id).await?;
    // Off already: nothing to prove and nothing to do.
    let Some(totp) = operator_totp::find(conn, operator_id).await? else { return Ok(()) };
    use_up(conn, sealer, operator_id, &totp, given).await?;
    operator_totp::delete(conn, operator_id).await?;
    append(conn, (actor, operator_id), false, now).await?;
    Ok(())
}

async fn append(
    conn: &mut PgConnection,
    (actor, operator_id): (&Actor, Uuid),
    is_on: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (action, reason) = if is_on {
        ("operator.totp_on", "set up by its operator")
    } else {
        ("operator.totp_off", "taken away by its operator")
    };
    let states = (&json!({ "oneTimeCodes": !is_on }), &json!({ "oneTimeCodes": is_on }));
    record_operator(conn, actor, (action, operator_id, reason), states, now).await
}
