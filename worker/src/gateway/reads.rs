//! Reads a payment back from Toss, with the account that made it. A hint from outside leads to nothing else.

use common::{
    domain::payment::{Payment, PaymentKind},
    store::StoreError,
};
use toss::{Account, LookupOutcome};

use crate::env::Env;

/// The account whose secret key made the payment. Only that key can read or refund it.
pub(crate) fn account_of(kind: PaymentKind) -> Account {
    match kind {
        PaymentKind::First => Account::Widget,
        PaymentKind::Renewal | PaymentKind::NewCard => Account::Billing,
    }
}

/// Reads the payment as Toss has it now: a settled one by its payment key, an unfinished one by its order id.
pub(crate) async fn read_back(env: &Env, payment: &Payment) -> Result<LookupOutcome, StoreError> {
    env.rate_limiter.acquire(&env.pool).await?;
    let account = account_of(payment.kind);
    Ok(match &payment.payment_key {
        Some(key) if !payment.is_unfinished() => env.toss.payment_by_key(account, key).await,
        Some(_) | None => env.toss.payment_by_order_id(account, &payment.order_id).await,
    })
}
