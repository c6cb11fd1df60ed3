//! Reads a payment back from the gateway: the only thing that a hint from outside leads to.

use common::{
    domain::payment::{Payment, PaymentKind},
    store::StoreError,
};
use toss::{Account, LookupOutcome};

use crate::env::Env;

/// With whose key a payment was made, and has to be read and given back.
pub(super) fn account_of(kind: PaymentKind) -> Account {
    match kind {
        PaymentKind::First => Account::Widget,
        PaymentKind::Renewal | PaymentKind::NewCard => Account::Billing,
    }
}

/// The payment as the gateway has it now: that of our books by its key, an unsettled one by its order.
pub(crate) async fn read_back(env: &Env, attempt: &Payment) -> Result<LookupOutcome, StoreError> {
    env.pace.turn(&env.pool).await?;
    let account = account_of(attempt.kind);
    Ok(match &attempt.payment_key {
        Some(key) if !attempt.is_unfinished() => env.toss.payment_by_key(account, key).await,
        Some(_) | None => env.toss.payment_by_order_id(account, &attempt.order_id).await,
    })
}
