//! Whether a new secret key belongs to the merchant that this database has charged for: Toss says so by reading a charge back.

use common::{
    queue::JobError,
    store::{gate, payments},
};
use sqlx::PgConnection;
use toss::{Account, LookupOutcome};

use crate::env::{Env, raise_alarm};

/// Asks Toss for the last charge. Another merchant's key does not find it. None: Toss could not be asked.
///
/// Where nothing has been charged yet, there is nobody to charge by mistake, and the key is accepted.
pub(super) async fn is_same(
    env: &Env,
    conn: &mut PgConnection,
    fingerprint: &str,
) -> Result<Option<bool>, JobError> {
    if let Some(charge) = payments::last_captured_charge(conn).await? {
        let found = env.toss.payment_by_order_id(Account::Billing, &charge.order_id).await;
        env.rate_limiter.put_off(&env.pool, found.retry_after()).await;
        match found {
            LookupOutcome::Found(found) => {
                tracing::info!(
                    toss.merchant = found.merchant_id,
                    "the new secret key is the same merchant's"
                );
            }
            LookupOutcome::NotFound { .. } => {
                raise_alarm("another_merchant");
                tracing::error!(order.id = charge.order_id, "the secret key belongs to another merchant");
                return Ok(Some(false));
            }
            LookupOutcome::Unavailable(why) => {
                tracing::warn!(why = why.message, "Toss could not be asked whose secret key this is");
                return Ok(None);
            }
        }
    }
    gate::accept_key(conn, fingerprint).await?;
    Ok(Some(true))
}
