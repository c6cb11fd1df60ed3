//! `/sandbox/deposits`: the buyer's bank for demos; a click pays into a virtual account.

use axum::extract::State;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::{page, window};
use crate::http::Text;
use crate::refusal::Refusal;
use crate::script::Script;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deposit {
    payment_key: String,
}

pub(super) async fn list(State(script): State<Script>) -> Result<Response, Refusal> {
    let mut state = script.lock();
    state.settle();
    page::deposits(&state.payments.awaiting_deposit())
}

pub(super) async fn pay(State(script): State<Script>, Text(body): Text) -> Result<Redirect, Refusal> {
    let deposit: Deposit = window::form(&body)?;
    script.deposit(&deposit.payment_key)?;
    Ok(Redirect::to("/sandbox/deposits"))
}
