//! Reads a payment back from Toss, with the account that made it. A hint from outside leads to nothing else.

use common::domain::breaker::GatewayAccount;
use common::domain::payment::{Payment, PaymentKind};
use common::store::StoreError;
use common::store::gate::Lane;
use toss::{Account, LookupOutcome};

use super::merchant::{is_ours, mismatch};
use crate::env::Env;

/// The account whose secret key made the payment. Only that key can read or refund it.
pub(crate) fn account_of(kind: PaymentKind) -> Account {
    match kind {
        PaymentKind::First => Account::Widget,
        PaymentKind::Renewal | PaymentKind::NewCard => Account::Billing,
    }
}

/// The account whose breaker stands before calls about such a payment.
pub(crate) fn gateway_account_of(kind: PaymentKind) -> GatewayAccount {
    match kind {
        PaymentKind::First => GatewayAccount::Widget,
        PaymentKind::Renewal | PaymentKind::NewCard => GatewayAccount::Billing,
    }
}

/// Reads the payment as Toss has it now: a settled one by its payment key, an unfinished one by its order id.
pub(crate) async fn read_back(env: &Env, payment: &Payment, lane: Lane) -> Result<LookupOutcome, StoreError> {
    env.rate_limiter.acquire(&env.pool, lane).await?;
    let account = account_of(payment.kind);
    let found = match &payment.payment_key {
        Some(key) if !payment.is_unfinished() => env.toss.payment_by_key(account, key).await,
        Some(_) | None => env.toss.payment_by_order_id(account, &payment.order_id).await,
    };
    env.rate_limiter.put_off(&env.pool, found.retry_after()).await;
    Ok(match found {
        LookupOutcome::Found(shown)
            if !is_ours(env, gateway_account_of(payment.kind), shown.merchant_id.as_deref()).await =>
        {
            LookupOutcome::Unavailable(mismatch(shown.trace_id))
        }
        other => other,
    })
}
