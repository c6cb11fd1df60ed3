//! `POST /v1/billing/{billingKey}`: charges a registered card; approval and answer in one call.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::fields::{self, MINIMUM_AMOUNT};
use crate::ledger::EntryKind;
use crate::payment_json;
use crate::payments::{Opening, Origin, Payment};
use crate::refusal::Refusal;
use crate::state::SandboxState;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    amount: Option<i64>,
    customer_key: Option<String>,
    order_id: Option<String>,
    order_name: Option<String>,
    customer_email: Option<String>,
    tax_free_amount: Option<i64>,
    tax_exemption_amount: Option<i64>,
}

pub(super) fn charge(
    state: &mut SandboxState,
    billing_key: &str,
    body: Option<&Value>,
    decision: Option<Refusal>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let opening = opening(body, &state.switches.merchant_id)?;
    let customer_key = opening.customer_key.clone().unwrap_or_default();
    let card = state.billing.open(billing_key, &customer_key)?;
    if state.payments.order_is_taken(&opening.order_id) {
        return Err(Refusal::of("DUPLICATED_ORDER_ID"));
    }
    let bank =
        decision.map_or_else(|| state.cards.decide(&card, Some(&customer_key), Some(billing_key)), Err);
    let amount = opening.amount;
    let mut payment = Payment::opened(opening, now);
    payment.card_number = Some(card);
    if let Err(refusal) = bank {
        if refusal.ends_payment() {
            payment.abort(refusal.clone());
            state.payments.insert(payment);
        }
        return Err(refusal);
    }
    let transaction = payment.approve(now);
    let answer = payment_json::payment(&payment);
    let payment_key = payment.key.clone();
    state.payments.insert(payment);
    state.record(EntryKind::Capture, &payment_key, transaction, amount, now);
    Ok(answer)
}

fn opening(body: Option<&Value>, merchant_id: &str) -> Result<Opening, Refusal> {
    let request: Request = fields::parse(body)?;
    let amount = fields::required(request.amount)?;
    let customer_key = fields::customer_key(request.customer_key)?;
    let order_id = fields::order_id(request.order_id)?;
    let order_name = fields::order_name(request.order_name)?;
    fields::email(request.customer_email.as_ref())?;
    let tax_free = request.tax_free_amount.unwrap_or(0);
    let tax_exemption = request.tax_exemption_amount.unwrap_or(0);
    if !(0..=amount.max(0)).contains(&tax_free) || !(0..=amount.max(0)).contains(&tax_exemption) {
        return Err(Refusal::of("INVALID_REQUEST"));
    }
    if amount < MINIMUM_AMOUNT {
        return Err(Refusal::of("BELOW_MINIMUM_AMOUNT"));
    }
    Ok(Opening {
        origin: Origin::BillingKey,
        order_id,
        order_name,
        amount,
        tax_free,
        tax_exemption,
        customer_key: Some(customer_key),
        merchant_id: merchant_id.to_owned(),
    })
}
