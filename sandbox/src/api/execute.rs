//! Carries out one call on the state, under its lock.

use super::route::{Call, Target};
use super::{cancel, charge, confirm, delete_billing_key, issue, lookup, transactions};
use crate::ledger::Subject;
use crate::refusal::Refusal;
use crate::state::SandboxState;

/// Returns the body of the answer. `decision` is what a script lets the bank say: a charge and a confirm end the
/// payment by it, every other call only answers it.
pub(crate) fn execute(
    state: &mut SandboxState,
    call: &Call,
    decision: Option<Refusal>,
) -> Result<String, Refusal> {
    let now = state.settle();
    let body = call.body.as_ref();
    let refused = decision.clone().map_or(Ok(()), Err);
    let answer = match &call.target {
        Target::Confirm => confirm::confirm(state, call, decision, now)?,
        Target::Charge { billing_key } => charge::charge(state, billing_key, body, decision, now)?,
        Target::Issue => refused.and_then(|()| issue::by_auth_key(state, body, now))?,
        Target::IssueByCard => refused.and_then(|()| issue::by_card(state, body, now))?,
        Target::DeleteBillingKey { billing_key } => {
            refused?;
            delete_billing_key::delete(state, billing_key, now)?;
            return Ok(String::new());
        }
        Target::Payment { payment_key } => {
            refused.and_then(|()| lookup::by_key(state, call.secret.kind, payment_key))?
        }
        Target::PaymentOfOrder { order_id } => {
            refused.and_then(|()| lookup::by_order(state, call.secret.kind, order_id))?
        }
        Target::Cancel { payment_key } => {
            refused.and_then(|()| cancel::from_request(state, call.secret.kind, payment_key, body, now))?
        }
        Target::Transactions => refused.and_then(|()| transactions::list(state, &call.query))?,
    };
    Ok(answer.to_string())
}

/// The order and customer a call is about, for counting and for faults.
pub(crate) fn subject(state: &SandboxState, call: &Call) -> Subject {
    let field = |name: &str| Some(call.body.as_ref()?.get(name)?.as_str()?.to_owned());
    let of_payment = |key: &str| match state.payments.get(key) {
        Some(payment) => Subject {
            order_id: Some(payment.opening.order_id.clone()),
            customer_key: payment.opening.customer_key.clone(),
        },
        None => Subject::default(),
    };
    match &call.target {
        Target::Confirm => {
            let payment_key = field("paymentKey").unwrap_or_default();
            Subject { order_id: field("orderId"), ..of_payment(&payment_key) }
        }
        Target::Issue | Target::IssueByCard | Target::Charge { .. } => {
            Subject { order_id: field("orderId"), customer_key: field("customerKey") }
        }
        Target::Payment { payment_key } | Target::Cancel { payment_key } => of_payment(payment_key),
        Target::PaymentOfOrder { order_id } => {
            let customer_key =
                state.payments.by_order(order_id).and_then(|payment| payment.opening.customer_key.clone());
            Subject { order_id: Some(order_id.clone()), customer_key }
        }
        Target::DeleteBillingKey { billing_key } => {
            let customer_key = state.billing.get(billing_key).and_then(|key| key.customer_key.clone());
            Subject { order_id: None, customer_key }
        }
        Target::Transactions => Subject::default(),
    }
}
