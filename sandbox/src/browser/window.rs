//! The payment window: shows what is bought, takes a card or opens a virtual account, redirects like Toss does.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::page::{self, Kind, Visit};
use crate::auth_keys::Registration;
use crate::cards::{digits, is_card_number};
use crate::http::{Params, Text, invalid_script};
use crate::payments::{Opening, Origin, Payment, Status, is_order_id};
use crate::refusal::Refusal;
use crate::script::{Method, Script};
use crate::virtual_account::VirtualAccount;

/// The form that comes back. What is bought was kept when the window opened; the form cannot change it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submission {
    kind: Kind,
    success_url: String,
    fail_url: String,
    customer_key: String,
    customer_name: Option<String>,
    payment_key: Option<String>,
    #[serde(default)]
    method: Method,
    card_number: String,
    action: String,
}

pub(super) async fn open(
    State(script): State<Script>,
    Params(visit): Params<Visit>,
) -> Result<Response, Refusal> {
    web_url(&visit.success_url)?;
    web_url(&visit.fail_url)?;
    let payment_key = match visit.kind {
        Kind::Billing => None,
        Kind::Widget | Kind::Payment => Some(open_payment(&script, &visit)?),
    };
    page::window(&visit, payment_key.as_deref())
}

fn open_payment(script: &Script, visit: &Visit) -> Result<String, Refusal> {
    let order_id = visit.order_id.clone().filter(|id| is_order_id(id));
    let order_name = visit.order_name.clone().filter(|name| (1..=100).contains(&name.chars().count()));
    let mut state = script.lock();
    let opening = Opening {
        origin: if visit.kind == Kind::Widget { Origin::Widget } else { Origin::ApiWindow },
        order_id: order_id.ok_or_else(|| Refusal::of("INVALID_ORDER_ID"))?,
        order_name: order_name.ok_or_else(|| Refusal::of("INVALID_ORDER_NAME"))?,
        amount: visit
            .amount
            .filter(|amount| *amount > 0)
            .ok_or_else(|| invalid_script("amount must be positive"))?,
        tax_free: 0,
        tax_exemption: 0,
        customer_key: Some(visit.customer_key.clone()).filter(|key| key != "ANONYMOUS"),
        merchant_id: state.switches.merchant_id.clone(),
    };
    let now = state.settle();
    let payment = Payment::opened(opening, now);
    let key = payment.key.clone();
    state.payments.insert(payment);
    Ok(key)
}

pub(super) async fn submit(State(script): State<Script>, Text(body): Text) -> Result<Response, Refusal> {
    let form: Submission = form(&body)?;
    let success = web_url(&form.success_url)?;
    let fail = web_url(&form.fail_url)?;
    if form.action == "cancel" {
        return Ok(redirect(
            fail,
            &[("code", "PAY_PROCESS_CANCELED"), ("message", "사용자가 결제를 취소하였습니다")],
        ));
    }
    let card_number = digits(&form.card_number);
    if !is_card_number(&card_number) {
        return page::notice("카드번호를 다시 확인해 주세요.");
    }
    match (form.kind, form.payment_key) {
        (Kind::Billing, _) => {
            let registration = Registration { customer_key: form.customer_key.clone(), card_number };
            let auth_key = script.lock().auth_keys.create(registration);
            Ok(redirect(success, &[("customerKey", &form.customer_key), ("authKey", &auth_key)]))
        }
        (kind, Some(payment_key)) => {
            let account = match form.method {
                Method::Card => None,
                Method::VirtualAccount => Some(VirtualAccount::chosen(form.customer_name, None)?),
            };
            let chosen = Chosen { kind, card_number, account };
            finish_payment(&script, &payment_key, chosen, success, fail)
        }
        (_, None) => Err(invalid_script("paymentKey is missing")),
    }
}

/// How the buyer pays.
struct Chosen {
    kind: Kind,
    card_number: String,
    /// Set where the buyer pays by deposit instead of by card.
    account: Option<VirtualAccount>,
}

fn finish_payment(
    script: &Script,
    payment_key: &str,
    chosen: Chosen,
    success: Url,
    fail: Url,
) -> Result<Response, Refusal> {
    let mut state = script.lock();
    let now = state.settle();
    let payment = state.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
    let order_id = payment.opening.order_id.clone();
    if payment.status != Status::Ready {
        let late = [
            ("code", "NOT_FOUND_PAYMENT_SESSION"),
            ("message", "결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다."),
            ("orderId", &order_id),
        ];
        return Ok(redirect(fail, &late));
    }
    match chosen.account {
        Some(account) => payment.choose_virtual_account(account, now),
        None => payment.authenticate(chosen.card_number, now),
    }
    let amount = payment.opening.amount.to_string();
    let mut query = vec![("orderId", order_id.as_str()), ("paymentKey", payment_key), ("amount", &amount)];
    if chosen.kind == Kind::Widget {
        query.insert(0, ("paymentType", "NORMAL"));
    }
    Ok(redirect(success, &query))
}

pub(super) fn form<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    let fields: serde_json::Map<String, serde_json::Value> = form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    serde_json::from_value(fields.into()).map_err(|error| invalid_script(&error.to_string()))
}

/// Only pages of the web: a `javascript:` URL would run in the window.
fn web_url(text: &str) -> Result<Url, Refusal> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| invalid_script("successUrl and failUrl must begin with http:// or https://"))
}

fn redirect(mut url: Url, query: &[(&str, &str)]) -> Response {
    url.query_pairs_mut().extend_pairs(query);
    (StatusCode::SEE_OTHER, [(header::LOCATION, url.to_string())]).into_response()
}
