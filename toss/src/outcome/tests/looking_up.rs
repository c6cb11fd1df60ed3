//! What a payment read back says about the charge that made it.

use serde_json::{Value, json};

use super::super::*;
use crate::reply::{Answer, NotSent, Reply};

fn payment(status: &str, more: &Value) -> GatewayPayment {
    let mut body =
        json!({"paymentKey": "pk_1", "orderId": "order-1", "status": status, "totalAmount": 9_900});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

fn outcome(status: &str, more: &Value) -> ChargeOutcome {
    outcome_of_lookup(&payment(status, more), "order-1", 9_900)
}

fn failed(status: &str, code: &str) -> ChargeOutcome {
    outcome(status, &json!({"failure": {"code": code, "message": "사유"}}))
}

#[test]
fn a_captured_payment_is_paid_even_when_cancelled_since() {
    for status in ["DONE", "PARTIAL_CANCELED", "CANCELED"] {
        let seen = outcome(status, &json!({"cancels": [{"cancelAmount": 100}], "balanceAmount": 9_800}));
        assert!(matches!(seen, ChargeOutcome::Paid(payment) if payment.cancels.len() == 1), "{status}");
    }
}

#[test]
fn a_payment_of_another_order_amount_or_currency_is_a_mismatch() {
    let done = payment("DONE", &json!({}));
    for seen in [
        outcome_of_lookup(&done, "order-2", 9_900),
        outcome_of_lookup(&done, "order-1", 9_901),
        outcome("DONE", &json!({"currency": "USD"})),
    ] {
        assert!(matches!(seen, ChargeOutcome::Unknown(why) if why.is_alarm()));
    }
}

#[test]
fn an_aborted_payment_is_declined_with_its_own_code() {
    let ChargeOutcome::Declined(hard) = failed("ABORTED", "INVALID_STOPPED_CARD") else { panic!() };
    assert!(hard.hard && hard.code == "INVALID_STOPPED_CARD" && hard.message == "사유");
    let ChargeOutcome::Declined(soft) = failed("ABORTED", "REJECT_CARD_PAYMENT") else { panic!() };
    assert!(!soft.hard);
}

#[test]
fn an_aborted_payment_with_an_unlisted_code_is_no_decline() {
    for seen in [failed("ABORTED", "SOMETHING_NEW"), outcome("ABORTED", &json!({}))] {
        let ChargeOutcome::NotSent(reason) = seen else { panic!("{seen:?}") };
        assert!(reason.kind == ReasonKind::OurMistake && reason.key_is_burnt);
    }
}

#[test]
fn an_expired_payment_is_declined_for_good() {
    let ChargeOutcome::Declined(expired) = failed("EXPIRED", "EXPIRED_PAYMENT") else { panic!() };
    assert!(expired.hard && expired.code == "EXPIRED_PAYMENT");
}

#[test]
fn an_aborted_payment_that_the_bank_never_judged_is_not_sent() {
    for code in ["NOT_AVAILABLE_BANK", "PROVIDER_ERROR", "COMMON_ERROR", "MAINTAINED_METHOD"] {
        let seen = failed("ABORTED", code);
        let ChargeOutcome::NotSent(reason) = seen else { panic!("{code}") };
        assert!(reason.kind == ReasonKind::Unavailable && reason.key_is_burnt, "{code}");
    }
}

#[test]
fn a_payment_without_an_end_is_waited_for() {
    for status in ["READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", "SOMETHING_NEW"] {
        let seen = outcome(status, &json!({}));
        assert!(matches!(seen, ChargeOutcome::Waiting(_)), "{status}");
    }
}

#[test]
fn an_account_that_nobody_paid_into_ends_without_money() {
    let account =
        |expired| json!({"virtualAccount": {"accountNumber": "1", "bankCode": "20", "expired": expired}});
    for (status, expired) in [("WAITING_FOR_DEPOSIT", true), ("CANCELED", false), ("EXPIRED", true)] {
        let seen = outcome(status, &account(expired));
        assert!(
            matches!(&seen, ChargeOutcome::Declined(why) if why.hard && why.code == "DEPOSIT_NOT_MADE"),
            "{seen:?}"
        );
    }
    assert!(matches!(outcome("WAITING_FOR_DEPOSIT", &account(false)), ChargeOutcome::Waiting(_)));
    let mut refunded = account(false);
    refunded["approvedAt"] = "2026-12-01T10:00:00+09:00".into();
    assert!(matches!(outcome("CANCELED", &refunded), ChargeOutcome::Paid(_)));
}

fn looked_up(http_status: u16, body: &str) -> LookupOutcome {
    let (body, trace_id) = (body.as_bytes().to_vec(), Some("trace-1".to_owned()));
    lookup(
        Reply::Answered(Answer { http_status, trace_id, retry_after: None, body }),
        Wanted::OrderId("order-1"),
    )
}

#[test]
fn only_the_code_says_not_found() {
    let seen = looked_up(404, r#"{"code":"NOT_FOUND_PAYMENT","message":"존재하지 않는 결제 정보 입니다."}"#);
    assert!(matches!(seen, LookupOutcome::NotFound { trace_id: Some(_) }));
    for body in ["", "<html>", "{}", r#"{"code":"NOT_FOUND"}"#, r#"{"code":"NOT_FOUND_PAYMENT_SESSION"}"#] {
        assert!(matches!(looked_up(404, body), LookupOutcome::Unavailable(_)), "{body}");
    }
    assert!(matches!(looked_up(500, r#"{"code":"NOT_FOUND_PAYMENT"}"#), LookupOutcome::Unavailable(_)));
}

#[test]
fn a_lookup_that_was_not_answered_says_nothing() {
    let unreachable = lookup(Reply::NotSent(NotSent::Unreachable(String::new())), Wanted::PaymentKey("pk_1"));
    let LookupOutcome::Unavailable(why) = unreachable else { panic!() };
    assert_eq!(why.kind, WhyKind::NotHeard(ReasonKind::Unavailable));
    let LookupOutcome::Unavailable(why) = looked_up(429, "") else { panic!() };
    assert!(matches!(why.kind, WhyKind::NotHeard(ReasonKind::RateLimited { .. })));
}

#[test]
fn a_lookup_that_finds_another_payment_is_a_mismatch() {
    let body =
        |order: &str| format!(r#"{{"paymentKey":"pk","orderId":"{order}","status":"DONE","totalAmount":1}}"#);
    assert!(matches!(looked_up(200, &body("order-1")), LookupOutcome::Found(_)));
    assert!(matches!(looked_up(200, &body("order-2")), LookupOutcome::Unavailable(why) if why.is_alarm()));
}
