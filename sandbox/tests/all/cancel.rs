//! Refunds, as they were measured at Toss.

use serde_json::{Value, json};

use crate::harness::{Reply, Toss, refusal};

async fn cancel(toss: &Toss, payment_key: &str, mut body: Value) -> Reply {
    body["cancelReason"] = json!("고객 요청");
    toss.post(&format!("/v1/payments/{payment_key}/cancel"), &body).await
}

#[tokio::test]
async fn one_full_cancel_ends_canceled_and_a_second_is_refused() {
    let toss = Toss::start().await;
    let key = toss.paid("ORDER_1", 9_900).await;
    let payment = cancel(&toss, &key, json!({})).await.json();
    assert_eq!((&payment["status"], &payment["balanceAmount"]), (&json!("CANCELED"), &json!(0)));
    assert_eq!(payment["totalAmount"], 9_900);
    assert_eq!((&payment["vat"], &payment["suppliedAmount"]), (&json!(0), &json!(0)));
    assert_eq!(payment["cancels"][0]["cancelAmount"], 9_900);
    assert_eq!(payment["cancels"][0]["cancelStatus"], "DONE");
    let again = cancel(&toss, &key, json!({})).await;
    assert_eq!(again.refusal(), refusal(400, "ALREADY_CANCELED_PAYMENT"));
    let ledger = toss.ledger("ORDER_1");
    assert_eq!((ledger.captured, ledger.refunded, ledger.net, ledger.cancels), (9_900, 9_900, 0, 1));
}

#[tokio::test]
async fn the_rest_of_a_partial_cancel_stays_partially_canceled() {
    let toss = Toss::start().await;
    let key = toss.paid("ORDER_1", 9_900).await;
    assert_eq!(cancel(&toss, &key, json!({ "cancelAmount": 1_000 })).await.json()["balanceAmount"], 8_900);
    let rest = cancel(&toss, &key, json!({ "cancelAmount": 8_900 })).await.json();
    assert_eq!((&rest["status"], &rest["balanceAmount"]), (&json!("PARTIAL_CANCELED"), &json!(0)));
    assert_eq!(rest["cancels"][0]["refundableAmount"], 8_900);
    let again = cancel(&toss, &key, json!({})).await;
    assert_eq!(again.refusal(), refusal(403, "NOT_CANCELABLE_AMOUNT"));
    assert_eq!(toss.ledger("ORDER_1").refunded, 9_900);
}

#[tokio::test]
async fn more_than_the_balance_is_refused_and_nothing_goes_back() {
    let toss = Toss::start().await;
    let key = toss.paid("ORDER_1", 9_900).await;
    let too_much = cancel(&toss, &key, json!({ "cancelAmount": 9_901 })).await;
    assert_eq!(too_much.refusal(), refusal(403, "NOT_CANCELABLE_AMOUNT"));
    let stale = cancel(&toss, &key, json!({ "cancelAmount": 100, "refundableAmount": 9_800 })).await;
    assert_eq!(stale.refusal(), refusal(400, "NOT_MATCHES_REFUNDABLE_AMOUNT"));
    assert_eq!(toss.ledger("ORDER_1").cancels, 0);
    let right = cancel(&toss, &key, json!({ "cancelAmount": 100, "refundableAmount": 9_900 })).await;
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn what_was_not_paid_cannot_be_canceled() {
    let toss = Toss::start().await;
    let open = toss.window("ORDER_1", 9_900);
    let reply = cancel(&toss, &open.payment_key, json!({})).await;
    assert_eq!(reply.refusal(), refusal(403, "NOT_CANCELABLE_PAYMENT"));
    assert_eq!(cancel(&toss, "nothing", json!({})).await.refusal(), refusal(404, "NOT_FOUND_PAYMENT"));
    let no_reason = toss.post(&format!("/v1/payments/{}/cancel", open.payment_key), &json!({})).await;
    assert_eq!(no_reason.refusal(), refusal(400, "INVALID_REQUIRED_PARAM"));
}

#[tokio::test]
async fn approvals_and_cancels_are_rows_of_their_own() {
    let toss = Toss::start().await;
    let key = toss.paid("ORDER_1", 9_900).await;
    cancel(&toss, &key, json!({ "cancelAmount": 900 })).await;
    let today = (toss.sandbox.now() + chrono::TimeDelta::hours(9)).format("%Y-%m-%d").to_string();
    let range = format!("startDate={today}&endDate={today}T23:59:59");
    let rows = toss.get(&format!("/v1/transactions?{range}")).await.json();
    let seen: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["status"], &row["amount"])).collect();
    assert_eq!(seen, [(&json!("DONE"), &json!(9_900)), (&json!("PARTIAL_CANCELED"), &json!(900))]);
    let first = rows[0]["transactionKey"].as_str().unwrap();
    let page = toss.get(&format!("/v1/transactions?{range}&limit=1&startingAfter={first}")).await.json();
    assert_eq!(page[0]["transactionKey"], rows[1]["transactionKey"]);
    for (query, code) in [
        ("startDate=2026-01-01", "INVALID_REQUIRED_PARAM"),
        ("startDate=yesterday&endDate=2026-01-01", "INVALID_ISO_DATE_FORMAT"),
        ("startDate=2026-01-02&endDate=2026-01-01", "INVALID_DATE"),
        ("startDate=2026-01-01&endDate=2026-01-02&limit=5001", "EXCEED_MAX_QUERY_LIMIT"),
        ("startDate=2026-01-01&endDate=2026-01-02&startingAfter=x", "INVALID_PAGING_KEY"),
    ] {
        assert_eq!(toss.get(&format!("/v1/transactions?{query}")).await.refusal(), refusal(400, code));
    }
}
