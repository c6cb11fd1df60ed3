//! `GET /v1/transactions`: every approval and every cancel as a row of its own, oldest first.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, SubsecRound as _};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::fields::required;
use crate::clock::{in_kst, stamp};
use crate::ledger::{Entry, EntryKind};
use crate::payment_json::receipt_url;
use crate::refusal::Refusal;
use crate::state::SandboxState;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 5_000;

/// Both dates count as included: Toss does not say.
pub(super) fn list(state: &SandboxState, query: &str) -> Result<Value, Refusal> {
    let start = date(required(parameter(query, "startDate"))?.as_str())?;
    let end = date(required(parameter(query, "endDate"))?.as_str())?;
    if start > end {
        return Err(Refusal::of("INVALID_DATE"));
    }
    let limit = match parameter(query, "limit").map(|text| text.parse::<usize>()) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit @ 1..=MAX_LIMIT)) => limit,
        Some(Ok(limit)) if limit > MAX_LIMIT => return Err(Refusal::of("EXCEED_MAX_QUERY_LIMIT")),
        Some(_) => return Err(Refusal::of("INVALID_REQUEST")),
    };
    let entries = &state.request_log.entries;
    let skip = match parameter(query, "startingAfter") {
        None => 0,
        Some(cursor) => {
            let found = entries.iter().position(|entry| entry.transaction_key == cursor);
            found.ok_or_else(|| Refusal::of("INVALID_PAGING_KEY"))? + 1
        }
    };
    let within = |entry: &&Entry| (start..=end).contains(&in_kst(entry.at).trunc_subsecs(0));
    Ok(entries.iter().skip(skip).filter(within).take(limit).map(|entry| row(state, entry)).collect())
}

/// An empty value counts as absent, as clients that serialise options send it.
fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// Korean time without an offset; a date alone is its midnight.
fn date(text: &str) -> Result<NaiveDateTime, Refusal> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN)))
        .map_err(|_| Refusal::of("INVALID_ISO_DATE_FORMAT"))
}

fn row(state: &SandboxState, entry: &Entry) -> Value {
    let is_negative = state.switches.negative_cancel_rows;
    let amount = if is_negative && entry.kind == EntryKind::Refund { -entry.amount } else { entry.amount };
    json!({
        "mId": state.switches.merchant_id,
        "transactionKey": entry.transaction_key,
        "paymentKey": entry.payment_key,
        "orderId": entry.order_id,
        "method": entry.method,
        "customerKey": entry.customer_key,
        "useEscrow": false,
        "receiptUrl": receipt_url(&entry.payment_key),
        "status": entry.status,
        "transactionAt": stamp(entry.at),
        "currency": "KRW",
        "amount": amount,
    })
}
