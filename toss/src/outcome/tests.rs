//! Which answer is which outcome: what the cases share.

mod charging;
mod looking_up;
mod other_calls;

use serde_json::{Value, json};

use super::*;
use crate::reply::{Answer, NotSent, Reply};
use crate::{ChargeRequest, ConfirmRequest};

const UNAVAILABLE: [&str; 3] = ["MAINTAINED_METHOD", "NOT_AVAILABLE_PAYMENT", "NOT_AVAILABLE_BANK"];
const CREDENTIALS: [&str; 4] =
    ["UNAUTHORIZED_KEY", "INCORRECT_BASIC_AUTH_FORMAT", "INVALID_API_KEY", "FORBIDDEN_REQUEST"];
const OUR_MISTAKE: [&str; 8] = [
    "INVALID_REQUEST",
    "NOT_MATCHES_CUSTOMER_KEY",
    "BELOW_MINIMUM_AMOUNT",
    "INVALID_ORDER_ID",
    "INVALID_ORDER_NAME",
    "NOT_SUPPORTED_METHOD",
    "INVALID_CARD_INSTALLMENT_PLAN",
    "INVALID_IDEMPOTENCY_KEY",
];
const LOOK_UP: [(&str, WhyKind); 6] = [
    ("PROVIDER_ERROR", WhyKind::Provider),
    ("DUPLICATED_ORDER_ID", WhyKind::AlreadyDone),
    ("ALREADY_PROCESSED_PAYMENT", WhyKind::AlreadyDone),
    ("FORBIDDEN_CONSECUTIVE_REQUEST", WhyKind::TooSoon),
    ("IDEMPOTENT_REQUEST_PROCESSING", WhyKind::InFlight),
    ("SOMETHING_NEW", WhyKind::UnlistedCode),
];

fn reply(http_status: u16, body: &Value) -> Reply {
    let (body, trace_id) = (body.to_string().into_bytes(), Some("trace-1".to_owned()));
    Reply::Answered(Answer { http_status, trace_id, retry_after: None, body })
}

fn refused(http_status: u16, code: &str) -> Reply {
    reply(http_status, &json!({"code": code, "message": "사유"}))
}

fn payment_json(status: &str, amount: i64) -> Value {
    json!({"paymentKey": "pk_1", "orderId": "order-1", "status": status, "totalAmount": amount, "currency": "KRW"})
}

fn charged(reply: Reply) -> ChargeOutcome {
    let asked = ChargeRequest {
        customer_key: "c".into(),
        amount: 9_900,
        order_id: "order-1".into(),
        order_name: "개인".into(),
        customer_email: None,
        customer_name: None,
    };
    charge(reply, &asked)
}

fn confirmed(reply: Reply) -> ChargeOutcome {
    let asked = ConfirmRequest { payment_key: "pk_1".into(), order_id: "order-1".into(), amount: 9_900 };
    confirm(reply, &asked)
}

fn why(outcome: ChargeOutcome) -> Why {
    match outcome {
        ChargeOutcome::Unknown(why) => why,
        other => panic!("not unknown: {other:?}"),
    }
}

fn reason(outcome: ChargeOutcome) -> Reason {
    match outcome {
        ChargeOutcome::NotSent(reason) => reason,
        other => panic!("attempted: {other:?}"),
    }
}

fn refusal(outcome: ChargeOutcome) -> Decline {
    match outcome {
        ChargeOutcome::Declined(refusal) => refusal,
        other => panic!("not declined: {other:?}"),
    }
}
