//! The scripting API over HTTP (`/sandbox/*`).

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::guide::guide;
use super::{CardRegistration, OpenPayment, Purchase, Script};
use crate::cards::Outcome;
use crate::config;
use crate::faults::Fault;
use crate::http::{Json, Params, Text, invalid_script};
use crate::ledger::LedgerQuery;
use crate::refusal::Refusal;
use crate::switches::Switches;

type Answer<T = Value> = Result<axum::Json<T>, Refusal>;

pub(crate) fn routes() -> Router<Script> {
    Router::new()
        .route("/sandbox", get(guide))
        .route("/sandbox/payments", post(pay))
        .route("/sandbox/payments/{payment_key}/cancel", post(cancel_in_dashboard))
        .route("/sandbox/payments/{payment_key}/deposit", post(deposit))
        .route("/sandbox/auth-keys", post(auth_key))
        .route("/sandbox/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/sandbox/faults/{id}", axum::routing::delete(remove_fault))
        .route("/sandbox/cards/{number}", put(set_card))
        .route("/sandbox/billing-keys/{key}", put(set_billing_key))
        .route("/sandbox/customers/{key}", put(set_customer))
        .route("/sandbox/ledger", get(ledger))
        .route("/sandbox/clock", get(clock).put(move_clock))
        .route("/sandbox/switches", get(switches).put(set_switches))
        .route("/sandbox/reset", post(reset))
        .route("/sandbox/webhook-url", put(set_webhook_url))
        .route("/sandbox/webhooks", get(webhooks).post(forge_webhook))
        .route("/sandbox/webhooks/{id}/redeliver", post(redeliver))
}

async fn pay(State(script): State<Script>, Json(purchase): Json<Purchase>) -> Answer<OpenPayment> {
    Ok(axum::Json(script.pay(purchase)?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DashboardCancel {
    cancel_amount: Option<i64>,
    cancel_reason: Option<String>,
}

async fn cancel_in_dashboard(
    State(script): State<Script>,
    Path(payment_key): Path<String>,
    Json(cancel): Json<DashboardCancel>,
) -> Answer {
    let reason = cancel.cancel_reason.unwrap_or_else(|| "상점관리자에서 취소".to_owned());
    Ok(axum::Json(script.cancel_in_dashboard(&payment_key, cancel.cancel_amount, &reason)?))
}

async fn deposit(State(script): State<Script>, Path(payment): Path<String>) -> Answer {
    Ok(axum::Json(script.deposit(&payment)?))
}

async fn auth_key(State(script): State<Script>, Json(registration): Json<CardRegistration>) -> Answer {
    let customer_key = registration.customer_key.clone();
    Ok(axum::Json(json!({ "authKey": script.auth_key(registration)?, "customerKey": customer_key })))
}

async fn faults(State(script): State<Script>) -> Answer {
    Ok(axum::Json(script.faults()))
}

async fn add_fault(State(script): State<Script>, Json(fields): Json<Map<String, Value>>) -> Answer {
    Ok(axum::Json(json!({ "id": script.fault(checked_fault(fields)?)? })))
}

/// The fault's parts are flattened into one object, so serde cannot point out misspelt names.
fn checked_fault(fields: Map<String, Value>) -> Result<Fault, Refusal> {
    const NAMES: [&str; 13] = [
        "effect",
        "ms",
        "answer",
        "code",
        "status",
        "message",
        "operation",
        "orderIdPrefix",
        "customerKey",
        "times",
        "probability",
        "seed",
        "id",
    ];
    if let Some(name) = fields.keys().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(invalid_script(&format!("unknown field '{name}'; known: {}", NAMES.join(", "))));
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| invalid_script(&error.to_string()))
}

async fn clear_faults(State(script): State<Script>) -> Answer {
    script.clear_faults();
    Ok(axum::Json(json!({})))
}

async fn remove_fault(State(script): State<Script>, Path(id): Path<u64>) -> Answer {
    if script.remove_fault(id) { Ok(axum::Json(json!({}))) } else { Err(Refusal::of("NOT_FOUND")) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Persona {
    outcome: Outcome,
}

async fn set_card(
    State(script): State<Script>,
    Path(number): Path<String>,
    Json(persona): Json<Persona>,
) -> Answer {
    script.set_card(&number, persona.outcome);
    Ok(axum::Json(json!({})))
}

async fn set_billing_key(
    State(script): State<Script>,
    Path(key): Path<String>,
    Json(persona): Json<Persona>,
) -> Answer {
    script.set_billing_key(&key, persona.outcome);
    Ok(axum::Json(json!({})))
}

async fn set_customer(
    State(script): State<Script>,
    Path(key): Path<String>,
    Json(persona): Json<Persona>,
) -> Answer {
    script.set_customer(&key, persona.outcome);
    Ok(axum::Json(json!({})))
}

async fn ledger(
    State(script): State<Script>,
    Params(query): Params<LedgerQuery>,
) -> Answer<crate::ledger::Ledger> {
    Ok(axum::Json(script.ledger(&query)))
}

async fn clock(State(script): State<Script>) -> Answer {
    Ok(axum::Json(json!({ "now": script.now() })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockMove {
    now: Option<DateTime<Utc>>,
    advance_seconds: Option<i64>,
}

async fn move_clock(State(script): State<Script>, Json(moved): Json<ClockMove>) -> Answer {
    let now = match (moved.now, moved.advance_seconds.map(TimeDelta::try_seconds)) {
        (Some(at), None) => script.set_clock(at)?,
        (None, Some(Some(by))) => script.advance(by)?,
        _ => return Err(invalid_script("give either now (RFC 3339) or advanceSeconds")),
    };
    Ok(axum::Json(json!({ "now": now })))
}

async fn switches(State(script): State<Script>) -> Answer<Switches> {
    Ok(axum::Json(script.switches()))
}

/// Fields that are not named keep their value.
async fn set_switches(
    State(script): State<Script>,
    Json(changes): Json<Map<String, Value>>,
) -> Answer<Switches> {
    let mut all =
        serde_json::to_value(script.switches()).map_err(|error| invalid_script(&error.to_string()))?;
    if let Some(fields) = all.as_object_mut() {
        fields.extend(changes);
    }
    let wanted: Switches = serde_json::from_value(all).map_err(|error| invalid_script(&error.to_string()))?;
    script.set_switches(|switches| *switches = wanted.clone());
    Ok(axum::Json(wanted))
}

async fn reset(State(script): State<Script>) -> Answer {
    script.reset();
    Ok(axum::Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookUrl {
    url: Option<String>,
}

async fn set_webhook_url(State(script): State<Script>, Json(wanted): Json<WebhookUrl>) -> Answer {
    let url =
        wanted.url.as_deref().map(config::webhook_url).transpose().map_err(|why| invalid_script(&why))?;
    script.set_webhook_url(url);
    Ok(axum::Json(json!({})))
}

async fn webhooks(State(script): State<Script>) -> Answer<Vec<crate::webhooks::Webhook>> {
    Ok(axum::Json(script.webhooks()))
}

async fn forge_webhook(State(script): State<Script>, Text(body): Text) -> Answer {
    Ok(axum::Json(json!({ "id": script.forge_webhook(&body) })))
}

async fn redeliver(State(script): State<Script>, Path(id): Path<u64>) -> Answer {
    if script.redeliver(id) { Ok(axum::Json(json!({}))) } else { Err(Refusal::of("NOT_FOUND")) }
}
