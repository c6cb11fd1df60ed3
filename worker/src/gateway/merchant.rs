//! Whether a new secret key, or an answer of Toss, belongs to the merchant that this database charges for.

use common::domain::breaker::GatewayAccount;
use common::queue::JobError;
use common::store::{gate, payments};
use sqlx::PgConnection;
use toss::{Account, LookupOutcome, Why, WhyKind};

use super::answer::keep_trying;
use crate::env::{Env, raise_alarm};

/// Whether an answer names the merchant that this database charges for: the first one that was named since it was bound to
/// this installation. The answer is held until the database can tell. Raises the alarm where it is another.
pub(crate) async fn is_ours(env: &Env, account: GatewayAccount, named: Option<&str>) -> bool {
    // A database that is bound to no installation has no merchant of its own.
    let (Some(named), Some(_)) = (named, &env.instance) else { return true };
    if env.merchants.has(account, named) {
        return true;
    }
    let bound = keep_trying("merchant", || async move {
        Ok(gate::bind_merchant(&mut *env.pool.acquire().await?, account, named).await?)
    });
    match bound.await {
        Ok(Some(bound)) if bound == named => {
            env.merchants.remember(account, named);
            true
        }
        Ok(Some(bound)) => {
            raise_alarm("answer_mismatch");
            tracing::error!(%account, bound, named, "an answer of Toss names another merchant");
            false
        }
        // Released meanwhile.
        Ok(None) => true,
        Err(error) => {
            tracing::error!(%account, named, %error, "the merchant of an answer could not be compared");
            true
        }
    }
}

/// What an answer that names another merchant comes to: nobody knows what it is about.
pub(crate) fn mismatch(trace_id: Option<String>) -> Why {
    let message = "the answer names another merchant".to_owned();
    Why { kind: WhyKind::Mismatch, code: None, message, http_status: Some(200), trace_id, retry_after: None }
}

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
            LookupOutcome::Found(found)
                if !is_ours(env, GatewayAccount::Billing, found.merchant_id.as_deref()).await =>
            {
                return Ok(Some(false));
            }
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
