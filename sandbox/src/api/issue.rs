//! `POST /v1/billing/authorizations/issue` and `…/card`: a billing key for a customer's card. No money moves.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::fields;
use crate::cards::{digits, is_card_number};
use crate::payment_json;
use crate::refusal::Refusal;
use crate::state::SandboxState;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByAuthKey {
    auth_key: Option<String>,
    customer_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByCard {
    customer_key: Option<String>,
    card_number: Option<String>,
    card_expiration_year: Option<String>,
    card_expiration_month: Option<String>,
    customer_identity_number: Option<String>,
    customer_email: Option<String>,
}

/// The auth key is used up by success only: a card that is refused may be tried again.
pub(super) fn by_auth_key(
    state: &mut SandboxState,
    body: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let request: ByAuthKey = fields::parse(body)?;
    let auth_key = fields::required(request.auth_key)?;
    let customer_key = fields::customer_key(request.customer_key)?;
    let registration =
        state.auth_keys.get(&auth_key).ok_or_else(|| Refusal::of(&state.switches.auth_key_refusal))?;
    if registration.customer_key != customer_key {
        return Err(Refusal::of("NOT_MATCHES_CUSTOMER_KEY"));
    }
    let card_number = registration.card_number.clone();
    state.cards.check_validity(&card_number, &customer_key)?;
    state.auth_keys.consume(&auth_key);
    Ok(issue(state, &customer_key, card_number, now))
}

pub(super) fn by_card(
    state: &mut SandboxState,
    body: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let request: ByCard = fields::parse(body)?;
    let customer_key = fields::customer_key(request.customer_key)?;
    let card_number = digits(&fields::required(request.card_number)?);
    let year = fields::required(request.card_expiration_year)?;
    let month = fields::required(request.card_expiration_month)?;
    let identity = fields::required(request.customer_identity_number)?;
    fields::email(request.customer_email.as_ref())?;
    if !is_card_number(&card_number) {
        return Err(Refusal::of("INVALID_CARD_NUMBER"));
    }
    let month_exists = month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month));
    if year.len() != 2 || year.parse::<u8>().is_err() || month.len() != 2 || !month_exists {
        return Err(Refusal::of("INVALID_CARD_EXPIRATION"));
    }
    if !matches!(identity.len(), 6 | 10) || !identity.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::of("INVALID_BIRTH_DAY_FORMAT"));
    }
    state.cards.check_validity(&card_number, &customer_key)?;
    Ok(issue(state, &customer_key, card_number, now))
}

fn issue(state: &mut SandboxState, customer_key: &str, card_number: String, now: DateTime<Utc>) -> Value {
    let key = state.billing.issue(Some(customer_key.to_owned()), card_number, now);
    payment_json::billing(&key, customer_key, &state.switches.merchant_id)
}
