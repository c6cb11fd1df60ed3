//! `POST /v1/payments/{paymentKey}/cancel`: money goes back, in part or in full.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::fields;
use super::lookup::visible;
use crate::keys::KeyKind;
use crate::refusal::Refusal;
use crate::state::SandboxState;
use crate::virtual_account::RefundAccount;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    cancel_reason: Option<String>,
    cancel_amount: Option<i64>,
    refundable_amount: Option<i64>,
    refund_receive_account: Option<RefundAccount>,
}

pub(super) fn from_request(
    state: &mut SandboxState,
    kind: KeyKind,
    payment_key: &str,
    body: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let request: Request = fields::parse(body)?;
    let reason = fields::required(request.cancel_reason)?;
    let payment = visible(state, kind, state.payments.get(payment_key))?;
    let was_approved = payment.status.was_approved();
    if was_approved && request.refundable_amount.is_some_and(|seen| seen != payment.balance) {
        return Err(Refusal::of("NOT_MATCHES_REFUNDABLE_AMOUNT"));
    }
    // A deposit came from a bank account that Toss does not know, so the merchant names where it goes back to.
    if was_approved && payment.virtual_account.is_some() {
        let account = request.refund_receive_account;
        let account = account.ok_or_else(|| Refusal::of("INVALID_REFUND_ACCOUNT_INFO"))?.check()?;
        state.cancel(payment_key, request.cancel_amount, reason, now)?;
        return state.set_refund_account(payment_key, account);
    }
    state.cancel(payment_key, request.cancel_amount, reason, now)
}
