//! `GET /v1/payments/{paymentKey}` and `GET /v1/payments/orders/{orderId}`.

use serde_json::Value;

use crate::keys::KeyKind;
use crate::payment_json;
use crate::payments::{Origin, Payment, Status};
use crate::refusal::Refusal;
use crate::state::SandboxState;
use crate::switches::FailedChargeLookup;

pub(super) fn by_key(state: &SandboxState, kind: KeyKind, payment_key: &str) -> Result<Value, Refusal> {
    show(state, kind, state.payments.get(payment_key))
}

pub(super) fn by_order(state: &SandboxState, kind: KeyKind, order_id: &str) -> Result<Value, Refusal> {
    show(state, kind, state.payments.by_order(order_id))
}

/// Under strict pairs, a payment does not exist for the other pair's secret.
pub(super) fn visible<'a>(
    state: &SandboxState,
    kind: KeyKind,
    payment: Option<&'a Payment>,
) -> Result<&'a Payment, Refusal> {
    let is_ours = |payment: &&Payment| payment.owner().is_none_or(|owner| owner == kind);
    let payment = payment.filter(|payment| !state.switches.strict_key_pairs || is_ours(payment));
    payment.ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))
}

fn show(state: &SandboxState, kind: KeyKind, payment: Option<&Payment>) -> Result<Value, Refusal> {
    let payment = visible(state, kind, payment)?;
    let failed_charge = payment.opening.origin == Origin::BillingKey && payment.status == Status::Aborted;
    if failed_charge && state.switches.failed_charge_lookup == FailedChargeLookup::NotFound {
        return Err(Refusal::of("NOT_FOUND_PAYMENT"));
    }
    Ok(payment_json::payment(payment))
}
