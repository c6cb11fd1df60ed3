//! The payment window: shows what is bought, takes a card number, redirects like Toss does.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::page;
use crate::api::is_order_id;
use crate::auth_keys::Registration;
use crate::cards::{digits, is_card_number};
use crate::http::{Params, Text, mistake};
use crate::payments::{Opening, Origin, Payment, Status};
use crate::refusal::Refusal;
use crate::script::Script;

/// What the buyer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The payment widget.
    Widget,
    /// The API's own window.
    Payment,
    /// Registering a card; no money.
    Billing,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Visit {
    pub(super) kind: Kind,
    pub(super) success_url: String,
    pub(super) fail_url: String,
    pub(super) customer_key: String,
    pub(super) customer_name: Option<String>,
    pub(super) order_id: Option<String>,
    pub(super) order_name: Option<String>,
    pub(super) amount: Option<i64>,
}

/// The form that comes back. What is bought was kept when the window opened; the form cannot change it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submission {
    kind: Kind,
    success_url: String,
    fail_url: String,
    customer_key: String,
    payment_key: Option<String>,
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
    Ok(html(StatusCode::OK, page::form(&visit, payment_key.as_deref())))
}

fn open_payment(script: &Script, visit: &Visit) -> Result<String, Refusal> {
    let order_id = visit.order_id.clone().filter(|id| is_order_id(id));
    let order_name = visit.order_name.clone().filter(|name| (1..=100).contains(&name.chars().count()));
    let opening = Opening {
        origin: if visit.kind == Kind::Widget { Origin::Widget } else { Origin::ApiWindow },
        order_id: order_id.ok_or_else(|| Refusal::of("INVALID_ORDER_ID"))?,
        order_name: order_name.ok_or_else(|| Refusal::of("INVALID_ORDER_NAME"))?,
        amount: visit
            .amount
            .filter(|amount| *amount > 0)
            .ok_or_else(|| mistake("amount must be positive"))?,
        tax_free: 0,
        tax_exemption: 0,
        customer_key: Some(visit.customer_key.clone()).filter(|key| key != "ANONYMOUS"),
    };
    let mut world = script.lock();
    let now = world.settle();
    let payment = Payment::opened(opening, now);
    let key = payment.key.clone();
    world.payments.insert(payment);
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
        return Ok(html(StatusCode::BAD_REQUEST, page::notice("카드번호를 다시 확인해 주세요.")));
    }
    match (form.kind, form.payment_key) {
        (Kind::Billing, _) => {
            let registration = Registration { customer_key: form.customer_key.clone(), card_number };
            let auth_key = script.lock().auth_keys.create(registration);
            Ok(redirect(success, &[("customerKey", &form.customer_key), ("authKey", &auth_key)]))
        }
        (kind, Some(payment_key)) => finish_payment(&script, kind, &payment_key, card_number, success, fail),
        (_, None) => Err(mistake("paymentKey is missing")),
    }
}

fn finish_payment(
    script: &Script,
    kind: Kind,
    payment_key: &str,
    card_number: String,
    success: Url,
    fail: Url,
) -> Result<Response, Refusal> {
    let mut world = script.lock();
    let now = world.settle();
    let payment = world.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
    let order_id = payment.opening.order_id.clone();
    if payment.status != Status::Ready {
        let late = [
            ("code", "NOT_FOUND_PAYMENT_SESSION"),
            ("message", "결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다."),
            ("orderId", &order_id),
        ];
        return Ok(redirect(fail, &late));
    }
    payment.authenticate(card_number, now);
    let amount = payment.opening.amount.to_string();
    let mut query = vec![("orderId", order_id.as_str()), ("paymentKey", payment_key), ("amount", &amount)];
    if kind == Kind::Widget {
        query.insert(0, ("paymentType", "NORMAL"));
    }
    Ok(redirect(success, &query))
}

fn form(body: &str) -> Result<Submission, Refusal> {
    let fields: serde_json::Map<String, serde_json::Value> = form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    serde_json::from_value(fields.into()).map_err(|error| mistake(&error.to_string()))
}

/// Only pages of the web: a `javascript:` URL would run in the window.
fn web_url(text: &str) -> Result<Url, Refusal> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| mistake("successUrl and failUrl must begin with http:// or https://"))
}

fn redirect(mut url: Url, query: &[(&str, &str)]) -> Response {
    url.query_pairs_mut().extend_pairs(query);
    (StatusCode::SEE_OTHER, [(header::LOCATION, url.to_string())]).into_response()
}

fn html(status: StatusCode, page: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
        ),
    ];
    (status, headers, page).into_response()
}
