//! Charges, code by code.

use serde_json::{Value, json};

use super::*;
use crate::reply::Loss;

const HARD: [&str; 11] = [
    "INVALID_STOPPED_CARD",
    "INVALID_CARD_LOST_OR_STOLEN",
    "INVALID_CARD_EXPIRATION",
    "INVALID_CARD_NUMBER",
    "ALREADY_REMOVED_BILLING_KEY",
    "INVALID_BILL_KEY_REQUEST",
    "NOT_SUPPORTED_CARD_TYPE",
    "NOT_FOUND_BILLING",
    "NOT_REGISTERED_CARD_COMPANY",
    "EXCEED_MAX_AUTH_COUNT",
    "INVALID_BILLING_AUTH",
];
const SOFT: [&str; 9] = [
    "REJECT_CARD_PAYMENT",
    "REJECT_ACCOUNT_PAYMENT",
    "REJECT_CARD_COMPANY",
    "INVALID_REJECT_CARD",
    "FDS_ERROR",
    "EXCEED_MAX_DAILY_PAYMENT_COUNT",
    "EXCEED_MAX_PAYMENT_AMOUNT",
    "EXCEED_MAX_AMOUNT",
    "EXCEED_MAX_ONE_DAY_AMOUNT",
];
#[test]
fn a_charge_is_paid_only_by_a_done_payment_for_what_was_asked() {
    let ChargeOutcome::Paid(payment) = charged(reply(200, &payment_json("DONE", 9_900))) else { panic!() };
    assert_eq!(payment.trace_id.as_deref(), Some("trace-1"));
    let mut wrong = vec![payment_json("DONE", 9_901), payment_json("DONE", 0)];
    for status in ["CANCELED", "PARTIAL_CANCELED", "ABORTED"] {
        wrong.push(payment_json(status, 9_900));
    }
    for (field, value) in [("orderId", "order-2"), ("currency", "USD")] {
        let mut payment = payment_json("DONE", 9_900);
        payment[field] = json!(value);
        wrong.push(payment);
    }
    for payment in wrong {
        let why = why(charged(reply(200, &payment)));
        assert!(why.is_alarm() && why.kind == WhyKind::Mismatch, "{payment}");
        assert_eq!(why.trace_id.as_deref(), Some("trace-1"));
    }
}

#[test]
fn a_payment_that_has_not_ended_is_waited_for() {
    for status in ["READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", "A_STATUS_OF_TOMORROW"] {
        let open = reply(200, &payment_json(status, 9_900));
        assert!(matches!(charged(open), ChargeOutcome::Waiting(_)), "{status}");
        let wrong = why(charged(reply(200, &payment_json(status, 9_901))));
        assert!(wrong.is_alarm(), "{status}");
    }
}

#[test]
fn a_success_with_another_status_than_200_is_unknown() {
    for status in [201, 202, 204, 302] {
        assert_eq!(
            why(charged(reply(status, &payment_json("DONE", 9_900)))).kind,
            WhyKind::Undecodable,
            "{status}"
        );
    }
}

#[test]
fn a_200_that_is_not_a_payment_is_unknown() {
    for body in [json!({}), json!([]), json!("DONE"), json!({"code": "REJECT_CARD_PAYMENT"}), Value::Null] {
        assert_eq!(why(charged(reply(200, &body))).kind, WhyKind::Undecodable, "{body}");
    }
}

#[test]
fn the_bank_says_no_hard_or_soft_whatever_the_4xx() {
    for (codes, hard) in [(&HARD[..], true), (&SOFT[..], false)] {
        for code in codes {
            for status in [400, 401, 403, 404] {
                let refusal = refusal(charged(refused(status, code)));
                assert_eq!((refusal.code.as_str(), refusal.hard, refusal.http_status), (*code, hard, status));
                assert_eq!(
                    (refusal.message.as_str(), refusal.trace_id.as_deref()),
                    ("사유", Some("trace-1"))
                );
            }
        }
    }
}

#[test]
fn what_never_reached_the_bank_is_not_sent() {
    let kinds = [
        (&UNAVAILABLE[..], ReasonKind::Unavailable),
        (&CREDENTIALS[..], ReasonKind::CredentialsRefused),
        (&OUR_MISTAKE[..], ReasonKind::OurMistake),
    ];
    for (codes, kind) in kinds {
        for code in codes {
            let reason = reason(charged(refused(400, code)));
            assert_eq!((reason.kind, reason.code.unwrap().as_str()), (kind, *code));
        }
    }
}

#[test]
fn a_key_is_burnt_only_by_a_4xx_that_toss_binds_to_it() {
    let burnt = |reply| reason(charged(reply)).key_is_burnt;
    for code in UNAVAILABLE.iter().chain(&OUR_MISTAKE).chain(&CREDENTIALS) {
        assert!(burnt(refused(400, code)), "{code}");
    }
    assert!(!burnt(refused(429, "ANYTHING")) && !burnt(reply(429, &json!("slow down"))));
    assert!(!burnt(Reply::NotSent(NotSent::Unreachable(String::new()))));
}

#[test]
fn a_429_is_a_rate_limit_even_with_the_code_of_a_refusal() {
    let reason = reason(charged(refused(429, "REJECT_CARD_PAYMENT")));
    assert_eq!(reason.kind, ReasonKind::RateLimited { retry_after: None });
}

#[test]
fn what_must_be_looked_up_is_unknown() {
    for (code, kind) in LOOK_UP {
        for status in [400, 403, 409] {
            let why = why(charged(refused(status, code)));
            assert_eq!((why.kind, why.code.unwrap().as_str()), (kind, code));
        }
    }
}

#[test]
fn a_5xx_is_unknown_even_with_the_code_of_a_refusal() {
    for code in ["FAILED_INTERNAL_SYSTEM_PROCESSING", "REJECT_CARD_PAYMENT", "MAINTAINED_METHOD"] {
        for status in [500, 502, 503, 504] {
            let why = why(charged(refused(status, code)));
            assert_eq!(
                (why.kind, why.code.unwrap().as_str(), why.message.as_str()),
                (WhyKind::ServerError, code, "사유")
            );
        }
    }
}

#[test]
fn a_4xx_without_a_code_is_unknown() {
    for body in [json!({}), json!({"code": ""}), json!({"message": "x"}), json!("nginx")] {
        assert_eq!(why(charged(reply(404, &body))).kind, WhyKind::Undecodable);
    }
}

#[test]
fn a_lost_answer_is_unknown_and_an_unsent_request_is_not_sent() {
    for (loss, kind) in [
        (Loss::Timeout, WhyKind::Timeout),
        (Loss::CutLine, WhyKind::CutLine),
        (Loss::TooLong, WhyKind::Undecodable),
    ] {
        let lost = Reply::Lost { loss, message: "m".into(), http_status: Some(200), trace_id: None };
        assert_eq!(why(charged(lost)).kind, kind);
    }
    let unreachable = reason(charged(Reply::NotSent(NotSent::Unreachable("refused".into()))));
    assert_eq!((unreachable.kind, unreachable.http_status), (ReasonKind::Unavailable, None));
    let malformed = reason(charged(Reply::NotSent(NotSent::Malformed("dots".into()))));
    assert_eq!(malformed.kind, ReasonKind::OurMistake);
}
