//! Billing keys: issued, charged, gone bad, deleted.

use reqwest::Method;
use sandbox::{FailedChargeLookup, Outcome};
use serde_json::json;

use crate::harness::{Reply, Toss, order, refusal};

#[tokio::test]
async fn a_charge_is_a_billing_payment_done_in_one_call() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let payment = toss.charge(&key, "customer-1", "AUTO_1").await.json();
    assert_eq!((&payment["type"], &payment["status"]), (&json!("BILLING"), &json!("DONE")));
    assert_eq!(payment["card"]["number"], "43000000****000*");
    assert!(payment["card"].get("billingKey").is_none());
    let by_order = toss.get("/v1/payments/orders/AUTO_1").await;
    assert_eq!(by_order.json()["paymentKey"], payment["paymentKey"]);
    let by_key = toss.get(&format!("/v1/payments/{}", payment["paymentKey"].as_str().unwrap())).await;
    assert_eq!(by_key.json(), payment);
}

#[tokio::test]
async fn an_order_is_charged_once_even_without_an_idempotency_key() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    assert_eq!(toss.charge(&key, "customer-1", "AUTO_1").await.status, 200);
    assert_eq!(
        toss.charge(&key, "customer-1", "AUTO_1").await.refusal(),
        refusal(400, "DUPLICATED_ORDER_ID")
    );
    assert_eq!(toss.ledger("AUTO_1").charges, 1);
}

#[tokio::test]
async fn wrong_fields_have_their_codes_and_charge_nothing() {
    let toss = Toss::start().await;
    let path = format!("/v1/billing/{}", toss.billing_key("customer-1").await);
    let cases = [
        ("orderId", json!("x"), refusal(400, "INVALID_ORDER_ID")),
        ("orderName", json!("x".repeat(101)), refusal(400, "INVALID_ORDER_NAME")),
        ("amount", json!(99), refusal(400, "BELOW_MINIMUM_AMOUNT")),
        ("amount", json!("9900"), refusal(400, "INVALID_REQUEST")),
        ("amount", json!(null), refusal(400, "INVALID_REQUIRED_PARAM")),
        ("customerKey", json!("customer-2"), refusal(400, "NOT_MATCHES_CUSTOMER_KEY")),
        ("customerKey", json!("x".repeat(301)), refusal(500, "FAILED_DB_PROCESSING")),
    ];
    for (field, value, wanted) in cases {
        let mut body = order("customer-1", "AUTO_1");
        body[field] = value;
        assert_eq!(toss.post(&path, &body).await.refusal(), wanted, "{field}");
    }
    assert_eq!(toss.ledger("AUTO_1").charges, 0);
    let unknown = toss.charge("no-such-key", "customer-1", "AUTO_1").await;
    assert_eq!(unknown.refusal(), refusal(400, "INVALID_BILL_KEY_REQUEST"));
}

#[tokio::test]
async fn a_card_can_go_bad_and_recover_and_the_order_id_stays_usable() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    toss.sandbox.set_billing_key(&key, Outcome::Refuses("REJECT_CARD_PAYMENT".to_owned()));
    assert_eq!(
        toss.charge(&key, "customer-1", "AUTO_1").await.refusal(),
        refusal(403, "REJECT_CARD_PAYMENT")
    );
    toss.sandbox.set_billing_key(&key, Outcome::Pays);
    assert_eq!(toss.charge(&key, "customer-1", "AUTO_1").await.status, 200);
    toss.sandbox.set_customer("customer-1", Outcome::Refuses("FDS_ERROR".to_owned()));
    assert_eq!(toss.charge(&key, "customer-1", "AUTO_2").await.status, 200, "the key's persona is narrower");
}

#[tokio::test]
async fn a_failed_charge_reads_back_as_the_switch_says() {
    let toss = Toss::start().await;
    let key = toss.issue("customer-1", Some("4300-0000-0000-0002")).await.json()["billingKey"].clone();
    assert_eq!(toss.charge(key.as_str().unwrap(), "customer-1", "AUTO_1").await.status, 403);
    assert_eq!(toss.get("/v1/payments/orders/AUTO_1").await.refusal(), refusal(404, "NOT_FOUND_PAYMENT"));
    toss.sandbox.set_switches(|switches| switches.failed_charge_lookup = FailedChargeLookup::Aborted);
    let read = toss.get("/v1/payments/orders/AUTO_1").await.json();
    assert_eq!(
        (&read["status"], &read["failure"]["code"]),
        (&json!("ABORTED"), &json!("REJECT_CARD_PAYMENT"))
    );
}

#[tokio::test]
async fn an_auth_key_issues_once_and_only_for_its_customer() {
    let toss = Toss::start().await;
    let registration = sandbox::CardRegistration { customer_key: "customer-1".to_owned(), card_number: None };
    let auth_key = toss.sandbox.auth_key(registration).unwrap();
    let path = "/v1/billing/authorizations/issue";
    let foreign = toss.post(path, &json!({ "authKey": auth_key, "customerKey": "customer-2" })).await;
    assert_eq!(foreign.refusal(), refusal(400, "NOT_MATCHES_CUSTOMER_KEY"));
    let body = json!({ "authKey": auth_key, "customerKey": "customer-1" });
    assert_eq!(toss.post(path, &body).await.status, 200);
    assert_eq!(toss.post(path, &body).await.refusal(), refusal(404, "NOT_FOUND_BILLING"));
}

#[tokio::test]
async fn a_stopped_card_is_not_registered_but_a_poor_one_is() {
    let toss = Toss::start().await;
    let stopped = toss.issue("customer-1", Some("4300-0000-0000-0004")).await;
    assert_eq!(stopped.refusal(), refusal(400, "INVALID_STOPPED_CARD"));
    assert_eq!(toss.issue("customer-1", Some("4300-0000-0000-0002")).await.status, 200);
    toss.sandbox.set_card("4300-0000-0000-0004", Outcome::Pays);
    assert_eq!(toss.issue("customer-1", Some("4300-0000-0000-0004")).await.status, 200);
}

#[tokio::test]
async fn a_key_can_be_issued_from_a_card_number() {
    let toss = Toss::start().await;
    let mut body = json!({
        "customerKey": "customer-1", "cardNumber": "9410001234567890", "cardExpirationYear": "30",
        "cardExpirationMonth": "12", "customerIdentityNumber": "900101", "cardPassword": "12",
    });
    let path = "/v1/billing/authorizations/card";
    assert_eq!(toss.post(path, &body).await.json()["card"]["issuerCode"], "21");
    body["cardExpirationMonth"] = json!("13");
    assert_eq!(toss.post(path, &body).await.refusal(), refusal(400, "INVALID_CARD_EXPIRATION"));
}

#[tokio::test]
async fn a_deleted_key_is_never_charged_again() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let path = format!("/v1/billing/{}", key.replace('=', "%3D"));
    let deleted = Reply::of(toss.request(Method::DELETE, &path)).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (200, ""));
    let gone = refusal(400, "ALREADY_REMOVED_BILLING_KEY");
    assert_eq!(toss.charge(&key, "customer-1", "AUTO_1").await.refusal(), gone);
    assert_eq!(Reply::of(toss.request(Method::DELETE, &path)).await.refusal(), gone);
    assert_eq!(toss.ledger("AUTO_1").charges, 0);
}
