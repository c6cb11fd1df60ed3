//! The rules of `Idempotency-Key`.

use chrono::TimeDelta;
use reqwest::Method;
use sandbox::{Effect, Fault, Operation};
use serde_json::json;
use testing::eventually;

use crate::harness::{Reply, Toss, WIDGET_SECRET, order, refusal};

#[tokio::test]
async fn a_replay_is_the_first_answer_and_charges_nothing() {
    let toss = Toss::start().await;
    let path = format!("/v1/billing/{}", toss.billing_key("customer-1").await);
    let first = Reply::of(toss.keyed("key-1", &path, &order("customer-1", "AUTO_1"))).await;
    let other_body = order("customer-1", "AUTO_2");
    let again = Reply::of(toss.keyed("key-1", &path, &other_body)).await;
    assert_eq!((again.status, &again.text), (200, &first.text), "the body is not part of the key");
    assert_eq!((first.header("idempotency-key"), again.header("idempotency-key")), ("key-1", "key-1"));
    let (first, again) = (first.header("x-tosspayments-trace-id"), again.header("x-tosspayments-trace-id"));
    assert!(again.ends_with(&format!(", {first}")), "{again}");
    assert_eq!(toss.ledger("AUTO_1").charges + toss.ledger("AUTO_2").charges, 1);
}

#[tokio::test]
async fn a_refusal_is_bound_to_the_key_too() {
    let toss = Toss::start().await;
    let key = toss.paid("ORDER_1", 9_900).await;
    let path = format!("/v1/payments/{key}/cancel");
    let too_much = json!({ "cancelReason": "고객 요청", "cancelAmount": 10_000 });
    assert_eq!(Reply::of(toss.keyed("key-1", &path, &too_much)).await.status, 403);
    let valid = json!({ "cancelReason": "고객 요청", "cancelAmount": 1_000 });
    let replay = Reply::of(toss.keyed("key-1", &path, &valid)).await;
    assert_eq!(replay.refusal(), refusal(403, "NOT_CANCELABLE_AMOUNT"));
    assert_eq!(toss.ledger("ORDER_1").cancels, 0);
    assert_eq!(Reply::of(toss.keyed("key-2", &path, &valid)).await.status, 200);
}

#[tokio::test]
async fn another_path_or_secret_is_another_key() {
    let toss = Toss::start().await;
    let first = toss.paid("ORDER_1", 9_900).await;
    let second = toss.paid("ORDER_2", 9_900).await;
    let body = json!({ "cancelReason": "고객 요청", "cancelAmount": 1_000 });
    for key in [&first, &second] {
        let path = format!("/v1/payments/{key}/cancel");
        assert_eq!(Reply::of(toss.keyed("key-1", &path, &body)).await.json()["paymentKey"], **key);
    }
    let request = toss.bare(Method::POST, &format!("/v1/payments/{first}/cancel"));
    let request = request.basic_auth(WIDGET_SECRET, Some("")).header("Idempotency-Key", "key-1").json(&body);
    assert_eq!(Reply::of(request).await.json()["balanceAmount"], 7_900);
}

#[tokio::test]
async fn while_the_first_runs_the_second_is_told_to_wait() {
    let toss = Toss::start().await;
    let path = format!("/v1/billing/{}", toss.billing_key("customer-1").await);
    let hang = Effect::HangThenApprove { ms: 400, answer: sandbox::AnswerTiming::Late };
    toss.sandbox.fault(Fault::next(Operation::Charge, hang)).unwrap();
    let body = order("customer-1", "AUTO_1");
    let first = tokio::spawn(Reply::of(toss.keyed("key-1", &path, &body)));
    eventually("the first request arrives", async || toss.ledger("AUTO_1").asked(Operation::Charge) == 1)
        .await;
    let second = Reply::of(toss.keyed("key-1", &path, &body)).await;
    assert_eq!(second.refusal(), refusal(409, "IDEMPOTENT_REQUEST_PROCESSING"));
    let first = first.await.unwrap();
    assert_eq!(first.status, 200);
    assert_eq!(Reply::of(toss.keyed("key-1", &path, &body)).await.text, first.text);
    assert_eq!(toss.ledger("AUTO_1").charges, 1);
}

#[tokio::test]
async fn after_fifteen_days_the_key_is_new_again() {
    let toss = Toss::start().await;
    let path = format!("/v1/billing/{}", toss.billing_key("customer-1").await);
    let body = order("customer-1", "AUTO_1");
    let first = Reply::of(toss.keyed("key-1", &path, &body)).await;
    toss.sandbox.advance(TimeDelta::days(15) - TimeDelta::minutes(1)).unwrap();
    assert_eq!(Reply::of(toss.keyed("key-1", &path, &body)).await.text, first.text);
    toss.sandbox.advance(TimeDelta::minutes(1)).unwrap();
    let late = Reply::of(toss.keyed("key-1", &path, &body)).await;
    assert_eq!(late.refusal(), refusal(400, "DUPLICATED_ORDER_ID"));
}

#[tokio::test]
async fn a_key_has_at_most_300_characters_and_counts_on_post_only() {
    let toss = Toss::start().await;
    let long = Reply::of(toss.keyed(&"x".repeat(301), "/v1/payments/confirm", &json!({}))).await;
    assert_eq!(long.refusal(), refusal(400, "INVALID_IDEMPOTENCY_KEY"));
    let fits = Reply::of(toss.keyed(&"x".repeat(300), "/v1/payments/confirm", &json!({}))).await;
    assert_eq!(fits.refusal(), refusal(400, "INVALID_REQUIRED_PARAM"));
    let read =
        |path: &'static str| Reply::of(toss.request(Method::GET, path).header("Idempotency-Key", "key-1"));
    assert_eq!(read("/v1/payments/orders/ORDER_1").await.status, 404);
    toss.paid("ORDER_1", 9_900).await;
    assert_eq!(read("/v1/payments/orders/ORDER_1").await.status, 200);
}

#[tokio::test]
async fn a_server_error_is_bound_only_when_the_switch_says_so() {
    let toss = Toss::start().await;
    let path = format!("/v1/billing/{}", toss.billing_key("customer-1").await);
    let fault = || Fault::next(Operation::Charge, Effect::Error500NotApproved);
    toss.sandbox.fault(fault()).unwrap();
    let body = order("customer-1", "AUTO_1");
    assert_eq!(Reply::of(toss.keyed("key-1", &path, &body)).await.status, 500);
    assert_eq!(Reply::of(toss.keyed("key-1", &path, &body)).await.status, 200);
    toss.sandbox.set_switches(|switches| switches.bind_server_errors = true);
    toss.sandbox.fault(fault()).unwrap();
    let body = order("customer-1", "AUTO_2");
    assert_eq!(Reply::of(toss.keyed("key-2", &path, &body)).await.status, 500);
    assert_eq!(Reply::of(toss.keyed("key-2", &path, &body)).await.status, 500);
    assert_eq!(toss.ledger("AUTO_2").charges, 0);
}
