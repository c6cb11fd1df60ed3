//! Confirming what a buyer agreed to in the payment window.

use chrono::TimeDelta;
use reqwest::Method;
use sandbox::{Purchase, Switches};
use serde_json::json;

use crate::harness::{Reply, Toss, WIDGET_SECRET, refusal};

#[tokio::test]
async fn a_confirmed_payment_is_done_and_counted_once() {
    let toss = Toss::start().await;
    let payment = toss.confirm(&toss.window("ORDER_1", 94_800)).await.json();
    assert_eq!(payment["status"], "DONE");
    assert_eq!((&payment["type"], &payment["method"]), (&json!("NORMAL"), &json!("카드")));
    assert_eq!((&payment["vat"], &payment["suppliedAmount"]), (&json!(8_618), &json!(86_182)));
    assert!(payment["approvedAt"].as_str().unwrap().ends_with("+09:00"));
    assert!(payment["receipt"]["url"].as_str().unwrap().starts_with("https://dashboard-sandbox."));
    assert!(payment["secret"].as_str().unwrap().starts_with("ps_"));
    let ledger = toss.ledger("ORDER_1");
    assert_eq!((ledger.captured, ledger.charges), (94_800, 1));
}

#[tokio::test]
async fn confirming_again_is_refused_and_takes_nothing() {
    let toss = Toss::start().await;
    let payment = toss.window("ORDER_1", 9_900);
    assert_eq!(toss.confirm(&payment).await.status, 200);
    assert_eq!(toss.confirm(&payment).await.refusal(), refusal(400, "ALREADY_PROCESSED_PAYMENT"));
    assert_eq!(
        toss.confirm(&toss.window("ORDER_1", 9_900)).await.refusal(),
        refusal(400, "DUPLICATED_ORDER_ID")
    );
    assert_eq!(toss.ledger("ORDER_1").captured, 9_900);
}

#[tokio::test]
async fn another_amount_or_order_is_refused_and_stays_open() {
    let toss = Toss::start().await;
    let payment = toss.window("ORDER_1", 9_900);
    for wrong in [
        json!({ "paymentKey": payment.payment_key, "orderId": "ORDER_1", "amount": 100 }),
        json!({ "paymentKey": payment.payment_key, "orderId": "ORDER_2", "amount": 9_900 }),
    ] {
        assert_eq!(
            toss.post("/v1/payments/confirm", &wrong).await.refusal(),
            refusal(400, "INVALID_REQUEST")
        );
    }
    let unknown = json!({ "paymentKey": "nothing", "orderId": "ORDER_1", "amount": 9_900 });
    assert_eq!(
        toss.post("/v1/payments/confirm", &unknown).await.refusal(),
        refusal(404, "NOT_FOUND_PAYMENT")
    );
    assert_eq!(toss.confirm(&payment).await.status, 200);
}

#[tokio::test]
async fn ten_minutes_after_the_window_it_is_too_late() {
    let toss = Toss::start().await;
    let payment = toss.window("ORDER_1", 9_900);
    toss.sandbox.advance(TimeDelta::minutes(10)).unwrap();
    assert_eq!(toss.confirm(&payment).await.refusal(), refusal(404, "NOT_FOUND_PAYMENT_SESSION"));
    let read = toss.get("/v1/payments/orders/ORDER_1").await.json();
    assert_eq!((&read["status"], &read["failure"]["code"]), (&json!("EXPIRED"), &json!("EXPIRED_PAYMENT")));
    assert_eq!((&read["method"], &read["approvedAt"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn the_guides_cards_behave_as_the_guide_says() {
    let toss = Toss::start().await;
    for (card, wanted) in [
        ("4300-0000-0000-0002", refusal(403, "REJECT_CARD_PAYMENT")),
        ("4300000000000003", refusal(400, "EXCEED_MAX_PAYMENT_AMOUNT")),
        ("4300-0000-0000-0004", refusal(400, "INVALID_STOPPED_CARD")),
    ] {
        let order_id = format!("ORDER_{}", &card[card.len() - 1..]);
        let payment = toss.sandbox.pay(Purchase::new(&order_id, 9_900).card(card)).unwrap();
        assert_eq!(toss.confirm(&payment).await.refusal(), wanted);
        let read = toss.get(&format!("/v1/payments/{}", payment.payment_key)).await.json();
        assert_eq!(
            (read["status"].as_str(), read["failure"]["code"].as_str()),
            (Some("ABORTED"), Some(&*wanted.1))
        );
        assert_eq!(toss.ledger(&order_id).charges, 0);
    }
    let good = toss.sandbox.pay(Purchase::new("ORDER_1", 9_900).card("4300-0000-0000-0001")).unwrap();
    assert_eq!(toss.confirm(&good).await.status, 200);
}

#[tokio::test]
async fn the_key_of_a_confirm_can_be_charged_unless_switched_off() {
    let toss = Toss::start().await;
    let payment = toss.confirm(&toss.window("ORDER_1", 9_900)).await.json();
    let key = payment["card"]["billingKey"].as_str().unwrap();
    assert_eq!(toss.charge(key, "customer-1", "ORDER_2").await.status, 200);
    assert_eq!(
        toss.charge(key, "customer-2", "ORDER_3").await.refusal(),
        refusal(400, "NOT_MATCHES_CUSTOMER_KEY")
    );
    toss.sandbox.set_switches(|switches: &mut Switches| switches.confirm_billing_key = false);
    let payment = toss.confirm(&toss.window("ORDER_4", 9_900)).await.json();
    assert!(payment["card"]["number"].is_string() && payment["card"].get("billingKey").is_none());
}

#[tokio::test]
async fn a_key_without_a_customer_belongs_to_the_first_who_charges_it() {
    let toss = Toss::start().await;
    let payment = toss.sandbox.pay(Purchase::new("ORDER_1", 9_900)).unwrap();
    let answer = toss.confirm(&payment).await.json();
    let key = answer["card"]["billingKey"].as_str().unwrap();
    assert_eq!(toss.charge(key, "customer-7", "ORDER_2").await.status, 200);
    assert_eq!(toss.charge(key, "customer-8", "ORDER_3").await.status, 400);
}

#[tokio::test]
async fn both_secrets_confirm_and_less_than_100_won_is_refused() {
    let toss = Toss::start().await;
    let payment = toss.window("ORDER_1", 9_900);
    let request = toss.bare(Method::POST, "/v1/payments/confirm").basic_auth(WIDGET_SECRET, Some(""));
    assert_eq!(Reply::of(request.json(&payment)).await.status, 200);
    let small = toss.window("ORDER_2", 99);
    assert_eq!(toss.confirm(&small).await.refusal(), refusal(400, "BELOW_MINIMUM_AMOUNT"));
}
