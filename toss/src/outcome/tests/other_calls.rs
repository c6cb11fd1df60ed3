//! Confirming, registering, refunding, deleting, repeating.

use serde_json::{Value, json};

use super::*;
use crate::CancelRequest;
use crate::verdict::{Call, Verdict, verdict};

#[test]
fn a_confirmation_refuses_what_the_browser_got_wrong() {
    for code in ["NOT_FOUND_PAYMENT", "NOT_FOUND_PAYMENT_SESSION", "INVALID_REQUEST", "INVALID_STOPPED_CARD"]
    {
        assert!(refusal(confirmed(refused(404, code))).hard, "{code}");
    }
    assert!(!refusal(confirmed(refused(403, "REJECT_CARD_PAYMENT"))).hard);
    assert_eq!(why(confirmed(refused(400, "ALREADY_PROCESSED_PAYMENT"))).kind, WhyKind::AlreadyDone);
    assert_eq!(why(confirmed(refused(400, "UNAPPROVED_ORDER_ID"))).kind, WhyKind::UnlistedCode);
    assert_eq!(why(confirmed(reply(404, &json!("no route")))).kind, WhyKind::Undecodable);
}

#[test]
fn a_confirmation_of_another_payment_key_is_a_mismatch() {
    assert!(matches!(confirmed(reply(200, &payment_json("DONE", 9_900))), ChargeOutcome::Paid(_)));
    let mut other = payment_json("DONE", 9_900);
    other["paymentKey"] = json!("pk_2");
    assert!(why(confirmed(reply(200, &other))).is_alarm());
}

#[test]
fn a_billing_key_is_issued_only_for_the_customer_that_was_asked() {
    let body =
        json!({"billingKey": "bk", "customerKey": "c", "method": "카드", "card": {"number": "4330****"}});
    assert!(matches!(issue(reply(200, &body), "c"), IssueOutcome::Issued(_)));
    assert!(matches!(issue(reply(200, &body), "d"), IssueOutcome::Unknown(why) if why.is_alarm()));
    let keyless = json!({"customerKey": "c"});
    assert!(matches!(issue(reply(200, &keyless), "c"), IssueOutcome::Unknown(_)));
    for code in ["NOT_FOUND_BILLING", "INVALID_REQUEST", "INVALID_CARD_NUMBER", "NOT_MATCHES_CUSTOMER_KEY"] {
        assert!(matches!(issue(refused(400, code), "c"), IssueOutcome::Refused(_)), "{code}");
    }
    assert!(matches!(issue(refused(500, "COMMON_ERROR"), "c"), IssueOutcome::Unknown(_)));
    assert!(matches!(issue(refused(400, "NOT_SUPPORTED_METHOD"), "c"), IssueOutcome::NotSent(_)));
}

fn canceled(reply: Reply, amount: Option<i64>) -> CancelOutcome {
    cancel(reply, "pk_1", &CancelRequest { reason: "고객 요청".into(), amount, refundable_amount: None })
}

fn canceled_json(status: &str, balance: i64, cancels: &[i64]) -> Value {
    let mut payment = payment_json(status, 9_900);
    payment["balanceAmount"] = json!(balance);
    payment["cancels"] = cancels.iter().map(|amount| json!({"cancelAmount": amount})).collect();
    payment
}

#[test]
fn a_cancel_counts_only_with_the_amount_that_was_asked() {
    let partial = canceled_json("PARTIAL_CANCELED", 4_900, &[2_000, 3_000]);
    assert!(matches!(canceled(reply(200, &partial), Some(3_000)), CancelOutcome::Canceled(_)));
    assert!(
        matches!(canceled(reply(200, &partial), Some(2_000)), CancelOutcome::Unknown(why) if why.is_alarm())
    );
    assert!(matches!(canceled(reply(200, &partial), None), CancelOutcome::Unknown(why) if why.is_alarm()));
    let full = canceled_json("CANCELED", 0, &[9_900]);
    assert!(matches!(canceled(reply(200, &full), None), CancelOutcome::Canceled(_)));
    let untouched = canceled_json("DONE", 9_900, &[9_900]);
    assert!(
        matches!(canceled(reply(200, &untouched), Some(9_900)), CancelOutcome::Unknown(why) if why.is_alarm())
    );
}

#[test]
fn a_cancel_that_was_perhaps_ours_is_unknown() {
    for code in ["ALREADY_CANCELED_PAYMENT", "ALREADY_REFUND_PAYMENT", "PROVIDER_ERROR", "SOMETHING_NEW"] {
        assert!(matches!(canceled(refused(400, code), None), CancelOutcome::Unknown(_)), "{code}");
    }
    for code in
        ["NOT_CANCELABLE_AMOUNT", "NOT_MATCHES_REFUNDABLE_AMOUNT", "REFUND_REJECTED", "NOT_FOUND_PAYMENT"]
    {
        assert!(matches!(canceled(refused(400, code), None), CancelOutcome::Refused(_)), "{code}");
    }
    assert!(matches!(canceled(refused(403, "NOT_AVAILABLE_BANK"), None), CancelOutcome::NotSent(_)));
}

#[test]
fn a_billing_key_that_is_already_gone_is_gone() {
    let empty =
        Reply::Answered(Answer { http_status: 200, trace_id: None, retry_after: None, body: Vec::new() });
    assert!(matches!(delete(empty), DeleteOutcome::Gone { .. }));
    assert!(matches!(delete(refused(400, "ALREADY_REMOVED_BILLING_KEY")), DeleteOutcome::Gone { .. }));
    assert!(matches!(delete(refused(401, "UNAUTHORIZED_KEY")), DeleteOutcome::NotSent(_)));
    assert!(matches!(delete(refused(500, "COMMON_ERROR")), DeleteOutcome::Unknown(_)));
}

#[test]
fn a_repeat_that_was_not_taken_leaves_the_attempt_unknown() {
    for reply in [
        Reply::NotSent(NotSent::Unreachable(String::new())),
        refused(429, "X"),
        refused(401, "UNAUTHORIZED_KEY"),
        refused(400, "INVALID_API_KEY"),
    ] {
        assert!(matches!(why(charged(reply).of_resend()).kind, WhyKind::NotHeard(_)));
    }
    for settled in [refused(400, "MAINTAINED_METHOD"), refused(400, "PROVIDER_ERROR")] {
        assert!(reason(charged(settled).of_resend()).key_is_burnt);
    }
    for bound in [refused(400, "SOMETHING_NEW"), refused(400, "DUPLICATED_ORDER_ID")] {
        let reason = reason(charged(bound).of_resend());
        assert_eq!((reason.kind, reason.key_is_burnt), (ReasonKind::OurMistake, true));
    }
    let unlisted = canceled(refused(400, "SOMETHING_NEW"), None).of_resend();
    assert!(matches!(unlisted, CancelOutcome::NotSent(reason) if reason.key_is_burnt));
    let by_another = canceled(refused(400, "ALREADY_CANCELED_PAYMENT"), None).of_resend();
    assert!(matches!(by_another, CancelOutcome::Refused(_)));
    assert_eq!(
        why(charged(refused(409, "IDEMPOTENT_REQUEST_PROCESSING")).of_resend()).kind,
        WhyKind::InFlight
    );
    assert!(refusal(charged(refused(403, "REJECT_CARD_PAYMENT")).of_resend()).code == "REJECT_CARD_PAYMENT");
    let not_taken = canceled(refused(429, "X"), None).of_resend();
    assert!(matches!(not_taken, CancelOutcome::Unknown(_)));
}

#[test]
fn a_wrong_client_key_is_refused_to_the_customer() {
    let confirm = ConfirmRequest { payment_key: "p".to_owned(), order_id: "ORDER_1".to_owned(), amount: 100 };
    let confirmed = || crate::outcome::confirm(refused(400, "INVALID_API_KEY"), &confirm);
    assert!(refusal(confirmed()).hard);
    assert!(matches!(why(confirmed().of_resend()).kind, WhyKind::NotHeard(ReasonKind::CredentialsRefused)));
    let issued = || crate::outcome::issue(refused(400, "INVALID_API_KEY"), "customer");
    assert!(matches!(issued(), IssueOutcome::Refused(decline) if decline.hard));
    assert!(matches!(issued().of_resend(), IssueOutcome::Unknown(_)));
    // Our own key, refused as such, is nobody's input.
    assert!(matches!(
        crate::outcome::confirm(refused(401, "UNAUTHORIZED_KEY"), &confirm),
        ChargeOutcome::NotSent(_)
    ));
    assert!(matches!(charged(refused(400, "INVALID_API_KEY")), ChargeOutcome::NotSent(_)));
}

#[test]
fn no_call_overrides_what_means_the_same_everywhere() {
    for call in [Call::Charge, Call::Confirm, Call::Issue, Call::Cancel, Call::Delete, Call::Read] {
        for code in UNAVAILABLE {
            assert_eq!(verdict(call, code), Verdict::NotSent(ReasonKind::Unavailable), "{call:?} {code}");
        }
        for (code, kind) in LOOK_UP {
            assert_eq!(verdict(call, code), Verdict::Unknown(kind), "{call:?} {code}");
        }
    }
}
