//! Every field: what passes, what is refused, and by which name.

use super::*;

fn fields(json: &str) -> Fields {
    Fields::parse(json.as_bytes()).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> &'static str {
    match result {
        Err(ApiError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_json_integer_of_one_won_or_more_is_an_amount() {
    assert_eq!(amount(&fields(r#"{"amount": 94800}"#)).unwrap().get(), 94_800);
    for wrong in [
        "0",
        "-1",
        "-94800",
        "94800.0",
        "94800.5",
        "9.48e4",
        "1e999",
        "\"94800\"",
        "null",
        "true",
        "[]",
        "{}",
        "2147483648",
        "99999999999999999999",
        "-0",
    ] {
        assert_eq!(refused(amount(&fields(&format!("{{\"amount\": {wrong}}}")))), "amount", "{wrong}");
    }
    assert_eq!(refused(amount(&fields("{}"))), "amount");
}

#[test]
fn an_order_id_is_what_toss_takes() {
    for right in ["ORDER_1729657033847", "abc-_9", &"a".repeat(64)] {
        assert!(is_order_id(right), "{right}");
    }
    for wrong in [
        "AUTO_01a204b53c4570dab6faed7e91d0009e_1_1",
        "",
        "short",
        &"a".repeat(65),
        "ORDER 123",
        "ORDER/123",
        "주문번호123456",
        "ORDER\x00123",
    ] {
        assert!(!is_order_id(wrong), "{wrong}");
    }
}

#[test]
fn an_address_is_checked_for_slips_and_for_what_breaks_a_header() {
    for right in ["user@example.com", "u.s+er@mail.example.co.kr", "한글@example.com"] {
        assert!(EMAIL.allows(right), "{right}");
    }
    for wrong in [
        "",
        "user",
        "@example.com",
        "a..b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a@example..com",
        "a@-example.com",
        &format!("{}@example.com", "a".repeat(65)),
        "user@",
        "user@example",
        "a@b@example.com",
        "user@example..com",
        "user@.com",
        "us er@example.com",
        "user@example.com\r\nBcc: x@example.com",
        "<user@example.com>",
        "user@example.com\0",
        "a@x.y,b@x.y",
    ] {
        assert!(!EMAIL.allows(wrong), "{wrong:?}");
    }
    assert!(!EMAIL.allows(&format!("{}@example.com", "a".repeat(250))));
}

#[test]
fn texts_of_the_wrong_type_or_size_or_with_control_characters_are_refused_by_name() {
    assert_eq!(refused(payment_key(&fields(r#"{"paymentKey": 1}"#))), "paymentKey");
    assert_eq!(refused(payment_key(&fields(r#"{"paymentKey": ""}"#))), "paymentKey");
    assert_eq!(refused(customer_name(&fields(r#"{"customerName": " "}"#))), "customerName");
    assert_eq!(refused(customer_name(&fields(r#"{"customerName": "a\u0000"}"#))), "customerName");
    assert_eq!(refused(customer_name(&fields(r#"{"customerName": null}"#))), "customerName");
    assert_eq!(refused(billing_cycle(&fields(r#"{"billingCycle": "weekly"}"#))), "billingCycle");
    assert_eq!(refused(billing_cycle(&fields(r#"{"billingCycle": "Monthly"}"#))), "billingCycle");
    assert_eq!(refused(customer_key(&fields(r#"{"customerKey": "a b"}"#))), "customerKey");
    assert_eq!(refused(subscription_id(&fields(r#"{"subscriptionId": {}}"#))), "subscriptionId");
    assert_eq!(refused(reason(&fields(&format!("{{\"reason\": \"{}\"}}", "가".repeat(501))))), "reason");
}

#[test]
fn a_reason_may_be_left_out_and_may_have_lines() {
    assert_eq!(reason(&fields("{}")).unwrap(), "");
    assert_eq!(reason(&fields(r#"{"reason": "비싸서\n그만"}"#)).unwrap(), "비싸서\n그만");
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    let broken = fields(r#"{"customerName": "\ud800"}"#);
    assert!(matches!(customer_name(&broken), Err(ApiError::Malformed)));
}
