//! Each scripted fault: what the client sees and whether the money moved.

use std::time::{Duration, Instant};

use sandbox::{AnswerTiming, Effect, Fault, LedgerQuery, Operation};
use serde_json::Value;
use testing::eventually;

use crate::harness::{Reply, Toss, order, refusal};

/// One charge of order `AUTO_1` under one fault, then its replay under the same idempotency key.
struct Charged {
    toss: Toss,
    path: String,
    body: Value,
}

impl Charged {
    async fn under(effect: Effect) -> Self {
        let toss = Toss::start().await;
        let path = format!("/v1/billing/{}", toss.billing_key("customer-1").await);
        toss.sandbox.fault(Fault::next(Operation::Charge, effect)).unwrap();
        Self { toss, path, body: order("customer-1", "AUTO_1") }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        self.toss.keyed("key-1", &self.path, &self.body)
    }

    async fn send(&self) -> Reply {
        Reply::of(self.request()).await
    }

    fn charges(&self) -> u64 {
        self.toss.ledger("AUTO_1").charges
    }
}

#[tokio::test]
async fn a_delay_answers_late() {
    let call = Charged::under(Effect::Delay { ms: 120 }).await;
    let start = Instant::now();
    assert_eq!(call.send().await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert_eq!(call.charges(), 1);
}

#[tokio::test]
async fn a_cut_line_loses_the_answer_but_not_the_money() {
    let call = Charged::under(Effect::ApproveThenCut).await;
    let error = call.request().send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    assert_eq!(call.charges(), 1);
    assert_eq!(call.send().await.json()["status"], "DONE");
    assert_eq!(call.charges(), 1);
    assert_eq!(call.toss.get("/v1/payments/orders/AUTO_1").await.json()["status"], "DONE");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_money() {
    let call = Charged::under(Effect::HangThenApprove { ms: 300, answer: AnswerTiming::Late }).await;
    let error = call.request().timeout(Duration::from_millis(60)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(call.charges(), 0, "still hanging");
    assert_eq!(call.toss.get("/v1/payments/orders/AUTO_1").await.status, 404);
    eventually("the money moves after the client is gone", async || call.charges() == 1).await;
    assert_eq!(call.send().await.status, 200);
    assert_eq!(call.charges(), 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_still_means_approved() {
    let call = Charged::under(Effect::HangThenApprove { ms: 0, answer: AnswerTiming::Never }).await;
    let error = call.request().timeout(Duration::from_millis(150)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(call.charges(), 1);
}

#[tokio::test]
async fn a_500_may_or_may_not_mean_approved() {
    let approved = Charged::under(Effect::Error500Approved).await;
    let failed = refusal(500, "FAILED_INTERNAL_SYSTEM_PROCESSING");
    assert_eq!(approved.send().await.refusal(), failed);
    assert_eq!(approved.charges(), 1);
    assert_eq!(approved.send().await.refusal(), refusal(400, "DUPLICATED_ORDER_ID"));
    assert_eq!(approved.charges(), 1);

    let not_approved = Charged::under(Effect::Error500NotApproved).await;
    assert_eq!(not_approved.send().await.refusal(), failed);
    assert_eq!(not_approved.charges(), 0);
    assert_eq!(not_approved.send().await.status, 200);
    assert_eq!(not_approved.charges(), 1);
}

#[tokio::test]
async fn a_429_and_a_409_do_nothing_and_bind_nothing() {
    for (effect, status) in [(Effect::Status429, 429), (Effect::Status409, 409)] {
        let call = Charged::under(effect).await;
        assert_eq!(call.send().await.status, status);
        assert_eq!(call.charges(), 0);
        assert_eq!(call.send().await.status, 200);
        assert_eq!(call.charges(), 1);
    }
}

#[tokio::test]
async fn garbage_is_a_200_that_is_not_json() {
    let call = Charged::under(Effect::Garbage).await;
    let reply = call.send().await;
    assert_eq!(reply.status, 200);
    assert!(serde_json::from_str::<Value>(&reply.text).is_err());
    assert_eq!(call.charges(), 1);
    assert_eq!(call.send().await.json()["status"], "DONE");
}

#[tokio::test]
async fn a_wrong_answer_shows_another_order() {
    let call = Charged::under(Effect::AnswerWrongAmount).await;
    let answer = call.send().await.json();
    assert_ne!((answer["orderId"].as_str(), answer["totalAmount"].as_i64()), (Some("AUTO_1"), Some(9_900)));
    assert_eq!(call.toss.ledger("AUTO_1").captured, 9_900);
}

#[tokio::test]
async fn a_scripted_error_is_a_decline_like_any_other() {
    let effect = Effect::Error { code: "REJECT_CARD_COMPANY".to_owned(), status: None, message: None };
    let call = Charged::under(effect).await;
    assert_eq!(call.send().await.refusal(), refusal(403, "REJECT_CARD_COMPANY"));
    assert_eq!(call.send().await.refusal(), refusal(403, "REJECT_CARD_COMPANY"), "bound to the key");
    assert_eq!(call.charges(), 0);
    let strange = Effect::Error {
        code: "BRAND_NEW".to_owned(),
        status: Some(418),
        message: Some("새 오류".to_owned()),
    };
    call.toss.sandbox.fault(Fault::next(Operation::Lookup, strange)).unwrap();
    let reply = call.toss.get("/v1/payments/orders/AUTO_1").await;
    assert_eq!(
        (reply.refusal(), reply.json()["message"].as_str()),
        (refusal(418, "BRAND_NEW"), Some("새 오류"))
    );
}

#[tokio::test]
async fn a_lookup_can_be_blind() {
    let call = Charged::under(Effect::Lookup404).await;
    call.toss.sandbox.clear_faults();
    assert_eq!(call.send().await.status, 200);
    call.toss.sandbox.fault(Fault::next(Operation::Lookup, Effect::Lookup404).times(2)).unwrap();
    for status in [404, 404, 200] {
        assert_eq!(call.toss.get("/v1/payments/orders/AUTO_1").await.status, status);
    }
}

#[tokio::test]
async fn a_fault_hits_only_the_calls_it_is_meant_for() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let fault =
        Fault::next(Operation::Charge, Effect::Status429).for_orders("AUTO_").for_customer("customer-1");
    toss.sandbox.fault(fault.times(2)).unwrap();
    assert_eq!(toss.charge(&key, "customer-1", "ORDER_1").await.status, 200);
    assert_eq!(toss.confirm(&toss.window("AUTO_0", 9_900)).await.status, 200);
    for status in [429, 429, 200] {
        assert_eq!(toss.charge(&key, "customer-1", "AUTO_1").await.status, status);
    }
}

#[tokio::test]
async fn dice_with_the_same_seed_fall_the_same() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let toss = Toss::start().await;
        let fault = Fault::next(Operation::Lookup, Effect::Status429).times(40).with_probability(0.5, 7);
        toss.sandbox.fault(fault).unwrap();
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.push(toss.get("/v1/payments/nothing").await.status);
        }
        assert_eq!(toss.sandbox.faults().as_array().unwrap().len(), 0, "40 calls were tried");
        runs.push(seen);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&429) && runs[0].contains(&404));
}

#[tokio::test]
async fn a_reset_ends_what_was_still_hanging() {
    let call = Charged::under(Effect::HangThenApprove { ms: 100, answer: AnswerTiming::Late }).await;
    let hanging = tokio::spawn(Reply::of(call.request()));
    eventually("the request arrives", async || call.toss.ledger("AUTO_1").asked(Operation::Charge) == 1)
        .await;
    call.toss.sandbox.reset();
    assert_eq!(hanging.await.unwrap().status, 500);
    assert_eq!(call.toss.sandbox.ledger(&LedgerQuery::default()).charges, 0);
}
