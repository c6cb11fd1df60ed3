//! Keys, languages, trace ids, limits, and paths that do not exist.

use base64::Engine as _;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Reply, Toss, WIDGET_SECRET, order, refusal};

#[tokio::test]
async fn each_mistake_with_the_key_has_its_own_answer() {
    let toss = Toss::start().await;
    let path = "/v1/payments/unknown";
    assert_eq!(Reply::of(toss.bare(Method::GET, path)).await.refusal(), refusal(401, "UNAUTHORIZED_KEY"));
    let no_colon = base64::engine::general_purpose::STANDARD.encode("test_sk_abc");
    let request = toss.bare(Method::GET, path).header("Authorization", format!("Basic {no_colon}"));
    assert_eq!(Reply::of(request).await.refusal(), refusal(403, "INCORRECT_BASIC_AUTH_FORMAT"));
    let stranger = toss.bare(Method::GET, path).basic_auth("somebody", Some(""));
    assert_eq!(Reply::of(stranger).await.refusal(), refusal(401, "UNAUTHORIZED_KEY"));
    assert_eq!(toss.get(path).await.refusal(), refusal(404, "NOT_FOUND_PAYMENT"));
}

#[tokio::test]
async fn a_widget_secret_cannot_bill() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let request = toss.bare(Method::POST, &format!("/v1/billing/{key}"));
    let reply =
        Reply::of(request.basic_auth(WIDGET_SECRET, Some("")).json(&order("customer-1", "ORDER_1"))).await;
    assert_eq!(reply.refusal(), refusal(400, "INVALID_API_KEY"));
    assert_eq!(toss.ledger("ORDER_1").charges, 0);
}

#[tokio::test]
async fn every_answer_has_a_trace_id_even_for_an_unknown_path() {
    let toss = Toss::start().await;
    for path in ["/v1/nowhere", "/nowhere", "/v1/payments/x", "/v1/payments/%ff"] {
        let reply = toss.get(path).await;
        assert!(reply.status >= 400 && !reply.refusal().1.is_empty(), "{path}");
        assert!(!reply.header("x-tosspayments-trace-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn messages_are_korean_or_english_as_asked() {
    let toss = Toss::start().await;
    let korean = toss.get("/v1/payments/x").await.json()["message"].clone();
    assert_eq!(korean, "존재하지 않는 결제 정보 입니다.");
    let english = toss.request(Method::GET, "/v1/payments/x").header("Accept-Language", "en-US");
    assert_eq!(Reply::of(english).await.json()["message"], "There is no such payment.");
}

#[tokio::test]
async fn a_test_code_forces_its_error_and_an_unknown_one_is_refused() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let path = format!("/v1/billing/{key}");
    let with = |code: &str| {
        let request = toss.request(Method::POST, &path).json(&order("customer-1", "ORDER_1"));
        Reply::of(request.header("TossPayments-Test-Code", code))
    };
    assert_eq!(with("REJECT_CARD_COMPANY").await.refusal(), refusal(403, "REJECT_CARD_COMPANY"));
    let busy = refusal(409, "IDEMPOTENT_REQUEST_PROCESSING");
    assert_eq!(with("IDEMPOTENT_REQUEST_PROCESSING").await.refusal(), busy);
    assert_eq!(with("NO_SUCH_CODE").await.refusal(), refusal(400, "INVALID_TEST_CODE"));
    assert_eq!(toss.ledger("ORDER_1").charges, 0);
}

#[tokio::test]
async fn the_rate_limit_is_a_switch_and_counts_by_the_virtual_minute() {
    let toss = Toss::start().await;
    toss.sandbox.set_switches(|switches| switches.rate_limit = true);
    for _ in 0..100 {
        assert_eq!(toss.get("/v1/payments/x").await.status, 404);
    }
    assert_eq!(toss.get("/v1/payments/x").await.status, 429);
    assert_eq!(toss.post("/v1/payments/confirm", &json!({})).await.status, 400);
    toss.sandbox.advance(chrono::TimeDelta::seconds(61)).unwrap();
    assert_eq!(toss.get("/v1/payments/x").await.status, 404);
}
