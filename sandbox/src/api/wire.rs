//! What leaves the server: the answer, or what a fault made of it.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::admission::IDEMPOTENCY_KEY;
use crate::faults::{AnswerTiming, Effect};
use crate::idempotency::Answer;
use crate::refusal::{Language, Refusal};

const TRACE: HeaderName = HeaderName::from_static("x-tosspayments-trace-id");

/// What leaves the server.
pub(super) enum Outgoing {
    Answer { answer: Answer, trace: Option<String> },
    Cut,
    Never,
}

/// What a fault does to the answer on its way out; what was done stays done.
pub(super) fn apply_effect(effect: Option<&Effect>, answer: Answer, trace: Option<String>) -> Outgoing {
    let answer = match effect {
        Some(Effect::ApproveThenCut) => return Outgoing::Cut,
        Some(Effect::HangThenApprove { answer: AnswerTiming::Never, .. }) => return Outgoing::Never,
        Some(Effect::Error500Approved) => Answer::refusing(&internal_error(), Language::Korean),
        Some(Effect::Garbage) => {
            Answer { status: 200, body: "<html><body>upstream connect error</body></html>".to_owned() }
        }
        Some(Effect::AnswerWrongAmount) => another_order(answer),
        _ => answer,
    };
    Outgoing::Answer { answer, trace }
}

pub(super) fn internal_error() -> Refusal {
    Refusal::of("FAILED_INTERNAL_SYSTEM_PROCESSING")
}

fn another_order(answer: Answer) -> Answer {
    let Ok(mut body) = serde_json::from_str::<serde_json::Value>(&answer.body) else { return answer };
    let Some(fields) = body.as_object_mut().filter(|fields| fields.contains_key("totalAmount")) else {
        return answer;
    };
    for amount in ["totalAmount", "balanceAmount"] {
        fields.insert(amount.to_owned(), 77_777.into());
    }
    fields.insert("orderId".to_owned(), "order-of-somebody-else".into());
    fields.insert("paymentKey".to_owned(), "tsbox19700101000000other".into());
    Answer { status: answer.status, body: body.to_string() }
}

pub(super) fn response(
    answer: Answer,
    trace: &str,
    (idempotency_key, retry_after_secs): (Option<&HeaderValue>, Option<u32>),
) -> Response {
    let asks_to_wait = answer.status == 429 || answer.status >= 500;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    if let Ok(trace) = HeaderValue::from_str(trace) {
        headers.insert(TRACE, trace);
    }
    if let Some(wait) = retry_after_secs.filter(|_| asks_to_wait) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    if let Some(key) = idempotency_key {
        headers.insert(IDEMPOTENCY_KEY, key.clone());
    }
    response
}
