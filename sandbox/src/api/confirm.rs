//! `POST /v1/payments/confirm`: the merchant takes the money the buyer agreed to in the window.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::fields::{self, MINIMUM_AMOUNT};
use super::route::Call;
use crate::keys::KeyKind;
use crate::ledger::EntryKind;
use crate::payment_json;
use crate::payments::{Origin, Payment, Status};
use crate::refusal::Refusal;
use crate::state::SandboxState;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    payment_key: Option<String>,
    order_id: Option<String>,
    amount: Option<i64>,
}

/// The amount and the order that the window was opened with.
fn check_order(payment: &Payment, order_id: &str, amount: i64) -> Result<(), Refusal> {
    if payment.opening.order_id != order_id || payment.opening.amount != amount {
        // Which code Toss uses is not documented; mocks agree on this one.
        return Err(Refusal::of("INVALID_REQUEST"));
    }
    if amount < MINIMUM_AMOUNT {
        return Err(Refusal::of("BELOW_MINIMUM_AMOUNT"));
    }
    Ok(())
}

pub(super) fn confirm(
    state: &mut SandboxState,
    call: &Call,
    decision: Option<Refusal>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let request: Request = fields::parse(call.body.as_ref())?;
    let payment_key = fields::required(request.payment_key)?;
    let order_id = fields::order_id(request.order_id)?;
    let amount = fields::required(request.amount)?;
    let payment = state.payments.get(&payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
    check_key(state, call.secret.kind, payment)?;
    check_state(payment.status)?;
    check_order(payment, &order_id, amount)?;
    if state.payments.order_is_taken(&order_id) {
        return Err(Refusal::of("DUPLICATED_ORDER_ID"));
    }
    let card = payment.card_number.clone().unwrap_or_default();
    let customer_key = payment.opening.customer_key.clone();
    if let Some(payment) = state.payments.get_mut(&payment_key) {
        payment.confirmed_with = Some(call.secret.kind);
    }
    let is_account = payment_has_account(state, &payment_key);
    let card_says =
        || if is_account { Ok(()) } else { state.cards.decide(&card, customer_key.as_deref(), None) };
    match decision.map_or_else(card_says, Err) {
        Ok(()) if is_account => {
            if let Some(payment) = state.payments.get_mut(&payment_key) {
                payment.await_deposit(now);
            }
            payment_json_of(state, &payment_key)
        }
        Ok(()) => {
            approve(state, &payment_key, card, customer_key, now);
            payment_json_of(state, &payment_key)
        }
        Err(refusal) => {
            if refusal.ends_payment() {
                abort(state, &payment_key, &refusal, now);
            }
            Err(refusal)
        }
    }
}

fn payment_has_account(state: &SandboxState, payment_key: &str) -> bool {
    state.payments.get(payment_key).is_some_and(|payment| payment.virtual_account.is_some())
}

fn payment_json_of(state: &SandboxState, payment_key: &str) -> Result<Value, Refusal> {
    state.payments.get(payment_key).map(payment_json::payment).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))
}

fn check_key(state: &SandboxState, kind: KeyKind, payment: &Payment) -> Result<(), Refusal> {
    let fits = match payment.opening.origin {
        Origin::Widget => kind == KeyKind::Widget || !state.switches.strict_key_pairs,
        Origin::ApiWindow => kind == KeyKind::Api || !state.switches.strict_key_pairs,
        Origin::Script => true,
        Origin::BillingKey => kind == KeyKind::Api,
    };
    if fits { Ok(()) } else { Err(Refusal::of("INVALID_API_KEY")) }
}

fn check_state(status: Status) -> Result<(), Refusal> {
    match status {
        Status::InProgress => Ok(()),
        // The buyer has not finished the window: nothing is authenticated that could be confirmed.
        Status::Ready | Status::Expired => Err(Refusal::of("NOT_FOUND_PAYMENT_SESSION")),
        Status::WaitingForDeposit
        | Status::Done
        | Status::Canceled
        | Status::PartialCanceled
        | Status::Aborted => Err(Refusal::of("ALREADY_PROCESSED_PAYMENT")),
    }
}

fn approve(
    state: &mut SandboxState,
    payment_key: &str,
    card_number: String,
    customer_key: Option<String>,
    now: DateTime<Utc>,
) {
    let billing_key =
        state.switches.confirm_billing_key.then(|| state.billing.issue(customer_key, card_number, now).key);
    let Some(payment) = state.payments.get_mut(payment_key) else { return };
    payment.shown_billing_key = billing_key;
    let amount = payment.opening.amount;
    let transaction = payment.approve(now);
    state.record(EntryKind::Capture, payment_key, transaction, amount, now);
    state.announce(payment_key, now);
}

fn abort(state: &mut SandboxState, payment_key: &str, refusal: &Refusal, now: DateTime<Utc>) {
    if let Some(payment) = state.payments.get_mut(payment_key) {
        payment.abort(refusal.clone());
    }
    state.announce(payment_key, now);
}
