//! What the client says: paths, headers, bodies.

use chrono::{DateTime, NaiveDate};
use serde_json::json;
use toss::{
    Account, CancelRequest, ConfirmRequest, IssueRequest, SandboxClockError, Toss, TransactionsQuery,
};

use crate::stub::{Stub, answer, billing_key, charge_request, config, error, key, payment};

/// `printf 'test_sk_billing_secret:' | base64` and the same for the widget's.
const BILLING_BASIC: &str = "Basic dGVzdF9za19iaWxsaW5nX3NlY3JldDo=";
const WIDGET_BASIC: &str = "Basic dGVzdF9nc2tfd2lkZ2V0X3NlY3JldDo=";

#[tokio::test]
async fn a_charge_is_one_post_with_key_header_and_encoded_path() {
    let stub = Stub::start(vec![answer(200, &payment())]).await;
    stub.client().charge(&billing_key(), &charge_request(), &key()).await;
    let [received] = &stub.received()[..] else { panic!("not one request") };
    assert_eq!(received.line, "POST /v1/billing/Z_t5vOvQxrj4499PeiJcjen28-V2%2Fyqg%2BTwN44Rdzk0%3D");
    assert_eq!(received.headers["authorization"], BILLING_BASIC);
    assert_eq!(received.headers["idempotency-key"], "attempt-1");
    assert_eq!(received.headers["content-type"], "application/json");
    assert!(received.headers["user-agent"].starts_with("toss/"));
    let expected = json!({"customerKey": "customer-1", "amount": 9_900, "orderId": "order-1",
        "orderName": "개인 - 월간", "customerEmail": "hong@example.com"});
    assert_eq!(received.body, expected);
}

#[tokio::test]
async fn a_confirmation_uses_the_widget_secret() {
    let stub = Stub::start(vec![answer(200, &payment())]).await;
    let asked = ConfirmRequest { payment_key: "pk_1".into(), order_id: "order-1".into(), amount: 9_900 };
    stub.client().confirm(&asked, &key()).await;
    let [received] = &stub.received()[..] else { panic!("not one request") };
    assert_eq!(received.line, "POST /v1/payments/confirm");
    assert_eq!(received.headers["authorization"], WIDGET_BASIC);
    assert_eq!(received.headers["idempotency-key"], "attempt-1");
    assert_eq!(received.body, json!({"paymentKey": "pk_1", "orderId": "order-1", "amount": 9_900}));
}

#[tokio::test]
async fn issuing_deleting_and_cancelling_say_what_toss_documents() {
    let stub = Stub::start(vec![error(400, "X"), error(400, "X"), error(400, "X")]).await;
    let toss = stub.client();
    let asked = IssueRequest { auth_key: "auth".into(), customer_key: "customer-1".into() };
    toss.issue_billing_key(&asked, &key()).await;
    toss.delete_billing_key(&billing_key()).await;
    let asked =
        CancelRequest { reason: "고객 요청".into(), amount: Some(100), refundable_amount: Some(9_900) };
    toss.cancel(Account::Widget, "p/k", &asked, &key()).await;
    let [issue, delete, cancel] = &stub.received()[..] else { panic!("not three requests") };
    assert_eq!(issue.line, "POST /v1/billing/authorizations/issue");
    assert_eq!(issue.body, json!({"authKey": "auth", "customerKey": "customer-1"}));
    assert_eq!(issue.headers["idempotency-key"], "attempt-1");
    assert_eq!(delete.line, "DELETE /v1/billing/Z_t5vOvQxrj4499PeiJcjen28-V2%2Fyqg%2BTwN44Rdzk0%3D");
    assert_eq!(cancel.line, "POST /v1/payments/p%2Fk/cancel");
    assert_eq!(cancel.headers["authorization"], WIDGET_BASIC);
    assert_eq!(cancel.headers["idempotency-key"], "attempt-1");
    assert_eq!(
        cancel.body,
        json!({"cancelReason": "고객 요청", "cancelAmount": 100, "refundableAmount": 9_900})
    );
}

#[tokio::test]
async fn reads_name_what_they_want_in_korean_civil_time() {
    let stub = Stub::start(vec![error(404, "X"), error(404, "X"), error(404, "X")]).await;
    let toss = stub.client();
    toss.payment_by_order_id(Account::Billing, "order-1").await;
    toss.payment_by_key(Account::Widget, "pk 1").await;
    let day = NaiveDate::from_ymd_opt(2027, 1, 31).unwrap();
    let query = TransactionsQuery {
        start: day.and_hms_opt(0, 0, 0).unwrap(),
        end: day.and_hms_opt(23, 59, 59).unwrap(),
        starting_after: Some("tx/1".into()),
        limit: Some(500),
    };
    toss.transactions(Account::Billing, &query).await.unwrap_err();
    let [by_order, by_key, transactions] = &stub.received()[..] else { panic!("not three requests") };
    assert_eq!(by_order.line, "GET /v1/payments/orders/order-1");
    assert_eq!(by_order.headers["authorization"], BILLING_BASIC);
    assert_eq!(by_key.line, "GET /v1/payments/pk%201");
    assert_eq!(by_key.headers["authorization"], WIDGET_BASIC);
    let range = "startDate=2027-01-31T00%3A00%3A00&endDate=2027-01-31T23%3A59%3A59";
    assert_eq!(transactions.line, format!("GET /v1/transactions?{range}&startingAfter=tx%2F1&limit=500"));
}

#[tokio::test]
async fn a_key_that_would_change_the_path_is_never_sent() {
    let stub = Stub::start(Vec::new()).await;
    for dotted in ["", ".", ".."] {
        let seen = stub.client().payment_by_key(Account::Billing, dotted).await;
        assert!(matches!(seen, toss::LookupOutcome::Unavailable(_)), "{dotted}");
    }
    assert!(stub.received().is_empty());
}

#[tokio::test]
async fn the_clock_goes_to_a_sandbox_and_never_to_toss() {
    let stub = Stub::start(vec![answer(200, &json!({})), error(404, "NOT_FOUND")]).await;
    let now = DateTime::parse_from_rfc3339("2027-01-31T09:00:00+09:00").unwrap().to_utc();
    assert_eq!(stub.client().set_sandbox_clock(now).await, Ok(()));
    let refused = stub.client().set_sandbox_clock(now).await;
    assert_eq!(refused, Err(SandboxClockError::Refused { http_status: 404 }));
    let received = stub.received();
    assert_eq!(received[0].line, "PUT /sandbox/clock");
    assert_eq!(received[0].body, json!({"now": "2027-01-31T00:00:00.000000Z"}));
    assert!(!received[0].headers.contains_key("authorization"));
    let real = Toss::new(config("https://api.tosspayments.com")).unwrap();
    assert_eq!(real.set_sandbox_clock(now).await, Err(SandboxClockError::RealToss));
    let nobody = crate::stub::unreachable_client().await;
    assert!(matches!(nobody.set_sandbox_clock(now).await, Err(SandboxClockError::Unreachable(_))));
}
