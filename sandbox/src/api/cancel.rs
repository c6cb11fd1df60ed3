//! `POST /v1/payments/{paymentKey}/cancel`: money goes back, in part or in full.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::fields;
use super::lookup::visible;
use crate::keys::KeyKind;
use crate::ledger::EntryKind;
use crate::payment_json;
use crate::payments::Status;
use crate::refusal::Refusal;
use crate::world::World;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    cancel_reason: Option<String>,
    cancel_amount: Option<i64>,
    refundable_amount: Option<i64>,
}

pub(super) fn from_request(
    world: &mut World,
    kind: KeyKind,
    payment_key: &str,
    body: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let request: Request = fields::parse(body)?;
    let reason = fields::required(request.cancel_reason)?;
    let payment = visible(world, kind, world.payments.get(payment_key))?;
    if payment.status.was_approved() && request.refundable_amount.is_some_and(|seen| seen != payment.balance)
    {
        return Err(Refusal::of("NOT_MATCHES_REFUNDABLE_AMOUNT"));
    }
    cancel(world, payment_key, request.cancel_amount, reason, now)
}

/// No amount means all that is left. The codes are the measured ones: after one full cancel 400
/// `ALREADY_CANCELED_PAYMENT`, after the rest of a partial one 403 `NOT_CANCELABLE_AMOUNT`.
pub(crate) fn cancel(
    world: &mut World,
    payment_key: &str,
    amount: Option<i64>,
    reason: String,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    if !(1..=200).contains(&reason.chars().count()) || amount.is_some_and(|amount| amount <= 0) {
        return Err(Refusal::of("INVALID_REQUEST"));
    }
    let payment = world.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
    match payment.status {
        Status::Done | Status::PartialCanceled => {}
        Status::Canceled => return Err(Refusal::of("ALREADY_CANCELED_PAYMENT")),
        Status::Ready | Status::InProgress | Status::Aborted | Status::Expired => {
            return Err(Refusal::of("NOT_CANCELABLE_PAYMENT"));
        }
    }
    let amount = amount.unwrap_or(payment.balance);
    if amount > payment.balance || amount == 0 {
        return Err(Refusal::of("NOT_CANCELABLE_AMOUNT"));
    }
    let transaction = payment.cancel(amount, reason, now);
    let answer = payment_json::payment(payment);
    world.record(EntryKind::Refund, payment_key, transaction, amount, now);
    world.announce(payment_key, now);
    Ok(answer)
}
