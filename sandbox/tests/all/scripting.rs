//! Scripting over HTTP, as curl would do it.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Toss};

async fn script(toss: &Toss, method: Method, path: &str, body: &Value) -> Reply {
    Reply::of(toss.bare(method, path).body(body.to_string())).await
}

#[tokio::test]
async fn a_payment_and_an_auth_key_are_made_by_curl() {
    let toss = Toss::start().await;
    let body = json!({ "orderId": "ORDER_1", "amount": 9_900, "cardNumber": "4300-0000-0000-0001" });
    let payment = script(&toss, Method::POST, "/sandbox/payments", &body).await.json();
    assert_eq!((&payment["orderId"], &payment["amount"]), (&json!("ORDER_1"), &json!(9_900)));
    assert_eq!(toss.post("/v1/payments/confirm", &payment).await.status, 200);
    let registration = json!({ "customerKey": "customer-1" });
    let auth = script(&toss, Method::POST, "/sandbox/auth-keys", &registration).await.json();
    assert_eq!(toss.post("/v1/billing/authorizations/issue", &auth).await.status, 200);
}

#[tokio::test]
async fn the_ledger_counts_money_by_order_customer_and_korean_day() {
    let toss = Toss::start().await;
    let at: DateTime<Utc> = "2027-01-31T14:30:00Z".parse().unwrap();
    toss.sandbox.set_clock(at).unwrap();
    let key = toss.billing_key("customer-1").await;
    toss.charge(&key, "customer-1", "AUTO_1").await;
    toss.charge(&key, "customer-1", "AUTO_1").await;
    toss.sandbox.advance(TimeDelta::hours(1)).unwrap();
    toss.paid("ORDER_1", 4_900).await;
    let ledger = |query: &'static str| {
        let request = toss.bare(Method::GET, &format!("/sandbox/ledger?{query}"));
        async { Reply::of(request).await.json() }
    };
    let auto = ledger("prefix=AUTO_").await;
    assert_eq!((&auto["captured"], &auto["charges"]), (&json!(9_900), &json!(1)));
    assert_eq!(auto["requests"]["charge"], json!({ "asked": 2, "processed": 2 }));
    assert_eq!(ledger("day=2027-01-31").await["captured"], 9_900);
    assert_eq!(ledger("day=2027-02-01").await["captured"], 4_900);
    assert_eq!(ledger("customerKey=customer-1").await["net"], 14_800);
    assert_eq!(ledger("orderId=ORDER_1").await["entries"][0]["billing"], false);
    assert_eq!(ledger("order=typo").await["code"], "INVALID_SCRIPT");
}

#[tokio::test]
async fn faults_are_set_listed_and_removed() {
    let toss = Toss::start().await;
    let fault = json!({ "operation": "charge", "effect": "hang_then_approve", "ms": 10, "times": null });
    let id = script(&toss, Method::POST, "/sandbox/faults", &fault).await.json()["id"].clone();
    let list = Reply::of(toss.bare(Method::GET, "/sandbox/faults")).await.json();
    assert_eq!((&list[0]["id"], &list[0]["effect"]), (&id, &json!("hang_then_approve")));
    assert_eq!(script(&toss, Method::DELETE, &format!("/sandbox/faults/{id}"), &json!({})).await.status, 200);
    assert_eq!(script(&toss, Method::DELETE, &format!("/sandbox/faults/{id}"), &json!({})).await.status, 404);
    for wrong in [
        json!({ "effect": "no_such" }),
        json!({ "effect": "garbage", "tims": 2 }),
        json!({ "effect": "garbage", "times": 0 }),
        json!({ "effect": "garbage", "probability": 1.5 }),
        json!({ "effect": "delay", "ms": 60_001 }),
    ] {
        assert_eq!(script(&toss, Method::POST, "/sandbox/faults", &wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn every_effect_has_the_name_the_guide_gives_it() {
    let toss = Toss::start().await;
    let guide = Reply::of(toss.bare(Method::GET, "/sandbox")).await.text;
    for effect in [
        json!({ "effect": "delay", "ms": 1 }),
        json!({ "effect": "hang_then_approve", "ms": 1, "answer": "never" }),
        json!({ "effect": "approve_then_cut" }),
        json!({ "effect": "error_500_approved" }),
        json!({ "effect": "error_500_not_approved" }),
        json!({ "effect": "status_429" }),
        json!({ "effect": "status_409" }),
        json!({ "effect": "garbage" }),
        json!({ "effect": "answer_wrong_amount" }),
        json!({ "effect": "error", "code": "PROVIDER_ERROR" }),
        json!({ "effect": "lookup_404" }),
    ] {
        assert_eq!(script(&toss, Method::POST, "/sandbox/faults", &effect).await.status, 200, "{effect}");
        assert!(guide.contains(effect["effect"].as_str().unwrap()), "{effect}");
    }
    let switches = Reply::of(toss.bare(Method::GET, "/sandbox/switches")).await.json();
    for name in switches.as_object().unwrap().keys() {
        assert!(guide.contains(name), "{name}");
    }
}

#[tokio::test]
async fn cards_customers_and_billing_keys_go_bad_and_recover_by_put() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let bad = json!({ "outcome": "INVALID_STOPPED_CARD" });
    let paths = [
        ("/sandbox/cards/4300-0000-0000-0001".to_owned(), "AUTO_1"),
        ("/sandbox/customers/customer-1".to_owned(), "AUTO_2"),
        (format!("/sandbox/billing-keys/{key}"), "AUTO_3"),
    ];
    for (path, order_id) in paths {
        script(&toss, Method::PUT, &path, &bad).await;
        assert_eq!(toss.charge(&key, "customer-1", order_id).await.status, 400, "{path}");
        script(&toss, Method::PUT, &path, &json!({ "outcome": "pays" })).await;
        assert_eq!(toss.charge(&key, "customer-1", order_id).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn switches_and_the_clock_are_set_by_put() {
    let toss = Toss::start().await;
    let wrong = json!({ "confirmBillingKey": "no" });
    assert_eq!(script(&toss, Method::PUT, "/sandbox/switches", &wrong).await.status, 400);
    let off = script(&toss, Method::PUT, "/sandbox/switches", &json!({ "confirmBillingKey": false })).await;
    assert_eq!((&off.json()["confirmBillingKey"], &off.json()["rateLimit"]), (&json!(false), &json!(false)));
    let new_year = json!({ "now": "2027-01-01T00:00:00+09:00" });
    let clock = script(&toss, Method::PUT, "/sandbox/clock", &new_year).await.json();
    assert!(clock["now"].as_str().unwrap().starts_with("2026-12-31T15:00:0"));
    script(&toss, Method::PUT, "/sandbox/clock", &json!({ "advanceSeconds": 86_400 })).await;
    assert!(toss.sandbox.now() >= "2027-01-01T15:00:00Z".parse::<DateTime<Utc>>().unwrap());
    for wrong in [json!({}), json!({ "advanceSeconds": i64::MAX }), json!({ "now": "tomorrow" })] {
        assert_eq!(script(&toss, Method::PUT, "/sandbox/clock", &wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_refund_in_the_dashboard_counts_and_is_announced() {
    let toss = Toss::start().await;
    let key = toss.paid("ORDER_1", 9_900).await;
    let path = format!("/sandbox/payments/{key}/cancel");
    let part = script(&toss, Method::POST, &path, &json!({ "cancelAmount": 900 })).await.json();
    assert_eq!(part["balanceAmount"], 9_000);
    let ledger = toss.ledger("ORDER_1");
    assert_eq!((ledger.net, ledger.asked(sandbox::Operation::Cancel)), (9_000, 0));
    assert_eq!(toss.sandbox.webhooks().len(), 2);
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let toss = Toss::start().await;
    toss.paid("ORDER_1", 9_900).await;
    toss.sandbox.advance(TimeDelta::days(400)).unwrap();
    let before = toss.sandbox.now();
    assert_eq!(script(&toss, Method::POST, "/sandbox/reset", &json!({})).await.status, 200);
    assert_eq!(toss.get("/v1/payments/orders/ORDER_1").await.status, 404);
    assert!(toss.sandbox.now() < before - TimeDelta::days(300));
    assert!(toss.sandbox.webhooks().is_empty());
}
