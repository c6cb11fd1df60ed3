//! What Toss says, and what the client makes of it.

use std::time::Duration;

use chrono::NaiveDate;
use serde_json::{Value, json};
use toss::{
    Account, ChargeOutcome, ConfirmRequest, DeleteOutcome, IssueOutcome, IssueRequest, LookupOutcome,
    ReasonKind, TransactionsQuery, WhyKind, outcome_of_lookup,
};

use crate::stub::{
    BILLING_KEY, Scripted, Stub, answer, answer_with, billing_key, charge_request, error, key, payment,
};

async fn charge(scripted: Scripted) -> ChargeOutcome {
    let stub = Stub::start(vec![scripted]).await;
    let outcome = stub.client().charge(&billing_key(), &charge_request(), &key()).await;
    assert_eq!(stub.received().len(), 1, "a charge is sent exactly once");
    outcome
}

#[tokio::test]
async fn a_200_for_what_was_asked_is_paid_and_keeps_the_trace_id() {
    let ChargeOutcome::Paid(payment) = charge(answer(200, &payment())).await else { panic!() };
    assert_eq!((payment.total_amount, payment.trace_id.as_deref()), (9_900, Some("trace-1")));
}

#[tokio::test]
async fn a_200_for_another_amount_is_unknown_with_an_alarm() {
    let mut other = payment();
    other["totalAmount"] = json!(99_000);
    let ChargeOutcome::Unknown(why) = charge(answer(200, &other)).await else { panic!() };
    assert!(why.is_alarm());
}

#[tokio::test]
async fn refusals_keep_code_message_status_and_trace_id() {
    for (status, code, hard) in [(403, "REJECT_CARD_PAYMENT", false), (400, "INVALID_STOPPED_CARD", true)] {
        let ChargeOutcome::Declined(refusal) = charge(error(status, code)).await else { panic!() };
        assert_eq!((refusal.code.as_str(), refusal.hard, refusal.http_status), (code, hard, status));
        assert_eq!((refusal.message.as_str(), refusal.trace_id.as_deref()), ("사유", Some("trace-1")));
    }
}

#[tokio::test]
async fn maintenance_bad_credentials_and_our_mistakes_are_not_sent() {
    for (status, code, kind, burnt) in [
        (400, "MAINTAINED_METHOD", ReasonKind::Unavailable, true),
        (403, "NOT_AVAILABLE_BANK", ReasonKind::Unavailable, true),
        (401, "UNAUTHORIZED_KEY", ReasonKind::CredentialsRefused, true),
        (400, "NOT_MATCHES_CUSTOMER_KEY", ReasonKind::OurMistake, true),
    ] {
        let ChargeOutcome::NotSent(reason) = charge(error(status, code)).await else { panic!("{code}") };
        assert_eq!((reason.kind, reason.key_is_burnt), (kind, burnt), "{code}");
    }
}

#[tokio::test]
async fn a_429_says_how_long_to_wait() {
    let limited = charge(answer_with(429, "Retry-After: 7\r\n", "")).await;
    let ChargeOutcome::NotSent(reason) = limited else { panic!() };
    assert_eq!(reason.kind, ReasonKind::RateLimited { retry_after: Some(Duration::from_secs(7)) });
    assert!(!reason.key_is_burnt);
}

#[tokio::test]
async fn a_5xx_and_a_look_up_say_how_long_to_wait_too() {
    let body = r#"{"code":"COMMON_ERROR","message":""}"#;
    let failed = charge(answer_with(503, "Retry-After: 7\r\n", body)).await;
    let ChargeOutcome::Unknown(why) = failed else { panic!("{failed:?}") };
    assert_eq!((why.kind, why.retry_after), (WhyKind::ServerError, Some(Duration::from_secs(7))));
    for status in [429, 503] {
        let stub = Stub::start(vec![answer_with(status, "Retry-After: 7\r\n", body)]).await;
        let read = stub.client().payment_by_order_id(Account::Billing, "order-1").await;
        assert_eq!(read.retry_after(), Some(Duration::from_secs(7)), "{status}");
    }
}

#[tokio::test]
async fn a_409_a_404_a_500_and_an_unlisted_code_are_unknown() {
    for (status, code, kind) in [
        (409, "IDEMPOTENT_REQUEST_PROCESSING", WhyKind::InFlight),
        (400, "DUPLICATED_ORDER_ID", WhyKind::AlreadyDone),
        (404, "NOT_FOUND", WhyKind::UnlistedCode),
        (500, "FAILED_INTERNAL_SYSTEM_PROCESSING", WhyKind::ServerError),
        (400, "PROVIDER_ERROR", WhyKind::Provider),
    ] {
        let ChargeOutcome::Unknown(why) = charge(error(status, code)).await else { panic!("{code}") };
        assert_eq!(
            (why.kind, why.http_status, why.trace_id.as_deref()),
            (kind, Some(status), Some("trace-1"))
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let ChargeOutcome::Unknown(why) = charge(answer_with(302, "Location: /elsewhere\r\n", "")).await else {
        panic!()
    };
    assert_eq!(why.kind, WhyKind::Undecodable);
}

#[tokio::test]
async fn a_confirmation_past_its_time_is_a_refusal() {
    let stub = Stub::start(vec![error(404, "NOT_FOUND_PAYMENT_SESSION")]).await;
    let asked = ConfirmRequest { payment_key: "pk_1".into(), order_id: "order-1".into(), amount: 9_900 };
    let outcome = stub.client().confirm(&asked, &key()).await;
    assert!(matches!(outcome, ChargeOutcome::Declined(refusal) if refusal.hard));
}

#[tokio::test]
async fn a_billing_key_is_issued_and_deleted() {
    let billing =
        json!({"billingKey": BILLING_KEY, "customerKey": "c", "card": {"number": "43301234****123*"}});
    let stub = Stub::start(vec![answer(200, &billing), answer_with(200, "", "")]).await;
    let asked = IssueRequest { auth_key: "a".into(), customer_key: "c".into() };
    let IssueOutcome::Issued(billing) = stub.client().issue_billing_key(&asked, &key()).await else {
        panic!()
    };
    assert_eq!(billing.billing_key.expose(), BILLING_KEY);
    assert!(matches!(stub.client().delete_billing_key(&billing_key()).await, DeleteOutcome::Gone { .. }));
}

#[tokio::test]
async fn a_lost_charge_is_found_again_by_its_order() {
    let stub = Stub::start(vec![error(404, "NOT_FOUND_PAYMENT"), answer(200, &payment())]).await;
    let toss = stub.client();
    let before = toss.payment_by_order_id(Account::Billing, "order-1").await;
    assert!(matches!(before, LookupOutcome::NotFound { trace_id: Some(_) }));
    let after = toss.payment_by_order_id(Account::Billing, "order-1").await;
    let LookupOutcome::Found(payment) = after else { panic!() };
    assert!(matches!(outcome_of_lookup(&payment, "order-1", 9_900), ChargeOutcome::Paid(_)));
}

fn row(key: &str, amount: f64) -> Value {
    json!({"transactionKey": key, "paymentKey": "pk_1", "orderId": "order-1", "status": "DONE", "amount": amount,
        "transactionAt": "2027-01-31T09:00:00+09:00", "customerKey": null})
}

fn query() -> TransactionsQuery {
    let day = NaiveDate::from_ymd_opt(2027, 1, 31).unwrap().and_hms_opt(0, 0, 0).unwrap();
    TransactionsQuery { start: day, end: day, starting_after: None, limit: Some(2) }
}

#[tokio::test]
async fn pages_of_transactions_end_with_an_empty_one() {
    let pages = [json!([row("t1", 9_900.0), row("t2", -100.0)]), json!([row("t3", 1.0)]), json!([])];
    let stub = Stub::start(pages.iter().map(|page| answer(200, page)).collect()).await;
    let toss = stub.client();
    let mut pages = toss.transaction_pages(Account::Billing, query());
    let mut keys = Vec::new();
    while let Some(page) = pages.next_page().await.unwrap() {
        keys.extend(page.transactions.into_iter().map(|row| (row.transaction_key, row.amount)));
    }
    assert_eq!(keys, [("t1".to_owned(), 9_900), ("t2".to_owned(), -100), ("t3".to_owned(), 1)]);
    assert!(pages.next_page().await.unwrap().is_none());
    let received = stub.received();
    assert_eq!(received.len(), 3);
    assert!(!received[0].line.contains("startingAfter"));
    assert!(received[1].line.contains("startingAfter=t2") && received[2].line.contains("startingAfter=t3"));
}

#[tokio::test]
async fn pages_in_a_circle_are_an_alarm_and_an_error_can_be_retried() {
    let same = json!([row("t1", 1.0)]);
    let stub = Stub::start(vec![error(500, "X"), answer(200, &same), answer(200, &same)]).await;
    let toss = stub.client();
    let mut pages = toss.transaction_pages(Account::Billing, query());
    assert_eq!(pages.next_page().await.unwrap_err().kind, WhyKind::ServerError);
    assert_eq!(pages.next_page().await.unwrap().unwrap().transactions.len(), 1);
    assert!(pages.next_page().await.unwrap_err().is_alarm());
}
