//! One call, carried out on the world under its lock.

use serde_json::Value;

use super::route::Target;
use super::{cancel, charge, confirm, delete_billing_key, issue, lookup, transactions};
use crate::keys::Secret;
use crate::ledger::Subject;
use crate::refusal::{Language, Refusal};
use crate::world::World;

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) secret: Secret,
    pub(crate) query: String,
    /// None when it is missing or not JSON.
    pub(crate) body: Option<Value>,
    pub(crate) language: Language,
}

/// The body of the answer. `decision` is what a script lets the bank say.
pub(crate) fn execute(world: &mut World, call: &Call, decision: Option<Refusal>) -> Result<String, Refusal> {
    let now = world.settle();
    let body = call.body.as_ref();
    match &call.target {
        Target::Confirm => {
            return confirm::confirm(world, call, decision, now).map(|payment| payment.to_string());
        }
        Target::Charge { billing_key } => {
            return charge::charge(world, billing_key, body, decision, now)
                .map(|payment| payment.to_string());
        }
        _ => {}
    }
    if let Some(refusal) = decision {
        return Err(refusal);
    }
    let answer = match &call.target {
        Target::Confirm | Target::Charge { .. } => return Err(Refusal::of("NOT_FOUND")),
        Target::Issue => issue::by_auth_key(world, body, now)?,
        Target::IssueByCard => issue::by_card(world, body, now)?,
        Target::DeleteBillingKey { billing_key } => {
            delete_billing_key::delete(world, billing_key, now)?;
            return Ok(String::new());
        }
        Target::Payment { payment_key } => lookup::by_key(world, call.secret.kind, payment_key)?,
        Target::PaymentOfOrder { order_id } => lookup::by_order(world, call.secret.kind, order_id)?,
        Target::Cancel { payment_key } => {
            cancel::from_request(world, call.secret.kind, payment_key, body, now)?
        }
        Target::Transactions => transactions::list(world, &call.query)?,
    };
    Ok(answer.to_string())
}

/// The order and customer a call is about, for counting and for faults.
pub(crate) fn subject(world: &World, call: &Call) -> Subject {
    let field = |name: &str| Some(call.body.as_ref()?.get(name)?.as_str()?.to_owned());
    let of_payment = |key: &str| match world.payments.get(key) {
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
                world.payments.by_order(order_id).and_then(|payment| payment.opening.customer_key.clone());
            Subject { order_id: Some(order_id.clone()), customer_key }
        }
        Target::DeleteBillingKey { billing_key } => {
            let customer_key = world.billing.get(billing_key).and_then(|key| key.customer_key.clone());
            Subject { order_id: None, customer_key }
        }
        Target::Transactions => Subject::default(),
    }
}
