//! Webhooks: which events there are, how they are sent, and how long they are retried.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::TimeDelta;
use reqwest::Method;
use sandbox::DeliveryState;
use serde_json::{Value, json};
use testing::eventually;

use crate::harness::{Reply, Toss};

type Received = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A merchant's endpoint that answers with the status it was given.
struct Receiver {
    received: Received,
}

impl Receiver {
    async fn start(toss: &Toss, status: u16) -> Self {
        let received = Received::default();
        let status = StatusCode::from_u16(status).unwrap();
        let take = move |State(received): State<Received>, headers: HeaderMap, body: Bytes| async move {
            received.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
            status
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let app = Router::new().route("/hook", post(take)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        toss.sandbox.set_webhook_url(Some(url));
        Self { received }
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    fn body(&self, index: usize) -> Value {
        self.received.lock().unwrap()[index].1.clone()
    }

    fn header(&self, index: usize, name: &str) -> String {
        self.received.lock().unwrap()[index].0[name].to_str().unwrap().to_owned()
    }
}

fn events(toss: &Toss) -> Vec<String> {
    toss.sandbox.webhooks().iter().filter_map(sandbox::Webhook::event_type).collect()
}

#[tokio::test]
async fn a_confirmed_payment_is_announced_with_the_three_headers() {
    let toss = Toss::start().await;
    let receiver = Receiver::start(&toss, 200).await;
    toss.paid("ORDER_1", 9_900).await;
    eventually("the webhook arrives", async || receiver.count() == 1).await;
    let body = receiver.body(0);
    assert_eq!(body["eventType"], "PAYMENT_STATUS_CHANGED");
    assert_eq!((&body["data"]["orderId"], &body["data"]["status"]), (&json!("ORDER_1"), &json!("DONE")));
    assert_eq!(body["createdAt"].as_str().unwrap().len(), "2026-01-02T14:46:59.653270".len());
    assert!(receiver.header(0, "tosspayments-webhook-transmission-time").ends_with("+09:00"));
    assert_eq!(receiver.header(0, "tosspayments-webhook-transmission-retried-count"), "0");
    assert!(receiver.header(0, "tosspayments-webhook-transmission-id").starts_with("whtrans_"));
    eventually("the delivery is noted", async || {
        toss.sandbox.webhooks()[0].state == DeliveryState::Delivered
    })
    .await;
}

#[tokio::test]
async fn a_billing_charge_is_not_announced_but_its_cancel_is() {
    let toss = Toss::start().await;
    let key = toss.billing_key("customer-1").await;
    let payment = toss.charge(&key, "customer-1", "AUTO_1").await.json();
    assert!(events(&toss).is_empty());
    let path = format!("/v1/payments/{}/cancel", payment["paymentKey"].as_str().unwrap());
    let body = json!({ "cancelReason": "고객 요청", "cancelAmount": 100 });
    toss.post(&path, &body).await;
    assert_eq!(events(&toss), ["PAYMENT_STATUS_CHANGED"]);
    toss.sandbox.set_switches(|switches| switches.billing_cancel_webhook = false);
    toss.post(&path, &body).await;
    Reply::of(toss.request(Method::DELETE, &format!("/v1/billing/{key}"))).await;
    assert_eq!(events(&toss), ["PAYMENT_STATUS_CHANGED", "BILLING_DELETED"]);
}

#[tokio::test]
async fn an_expired_payment_is_announced_when_the_clock_passes() {
    let toss = Toss::start().await;
    toss.window("ORDER_1", 9_900);
    toss.sandbox.advance(TimeDelta::minutes(9)).unwrap();
    assert_eq!(events(&toss).len(), 0);
    toss.sandbox.advance(TimeDelta::minutes(1)).unwrap();
    let webhooks = toss.sandbox.webhooks();
    let body: Value = serde_json::from_str(&webhooks[0].body).unwrap();
    assert_eq!(body["data"]["status"], "EXPIRED");
}

#[tokio::test]
async fn what_is_not_answered_200_is_retried_seven_times() {
    let toss = Toss::start().await;
    let receiver = Receiver::start(&toss, 201).await;
    toss.paid("ORDER_1", 9_900).await;
    let tried = |count: usize| toss.sandbox.webhooks()[0].deliveries.len() == count;
    eventually("the first try", async || tried(1)).await;
    for (count, minutes) in (2..).zip([1, 4, 16, 64, 256, 1_024, 4_096]) {
        let webhook = &toss.sandbox.webhooks()[0];
        let due = webhook.next_attempt_at.unwrap();
        let waits = due - toss.sandbox.now();
        assert!(
            waits <= TimeDelta::minutes(minutes)
                && waits > TimeDelta::minutes(minutes) - TimeDelta::seconds(30)
        );
        toss.sandbox.set_clock(due).unwrap();
        eventually("the next try", async || tried(count)).await;
    }
    assert_eq!(toss.sandbox.webhooks()[0].state, DeliveryState::Failed);
    let id = receiver.header(0, "tosspayments-webhook-transmission-id");
    assert_eq!(receiver.header(7, "tosspayments-webhook-transmission-id"), id);
    assert_eq!(receiver.header(7, "tosspayments-webhook-transmission-retried-count"), "7");
}

#[tokio::test]
async fn a_long_jump_of_the_clock_makes_all_the_retries() {
    let toss = Toss::start().await;
    let receiver = Receiver::start(&toss, 500).await;
    toss.paid("ORDER_1", 9_900).await;
    eventually("the first try", async || receiver.count() == 1).await;
    toss.sandbox.advance(TimeDelta::days(31)).unwrap();
    eventually("seven more", async || toss.sandbox.webhooks()[0].state == DeliveryState::Failed).await;
    assert_eq!(receiver.count(), 8);
}

#[tokio::test]
async fn webhooks_can_be_forged_held_reordered_and_repeated() {
    let toss = Toss::start().await;
    let receiver = Receiver::start(&toss, 200).await;
    toss.sandbox.set_switches(|switches| switches.hold_webhooks = true);
    toss.paid("ORDER_1", 9_900).await;
    toss.paid("ORDER_2", 9_900).await;
    assert!(toss.sandbox.webhooks().iter().all(|webhook| webhook.state == DeliveryState::NotSent));
    for (count, id) in (1..).zip([2, 1, 1]) {
        assert!(toss.sandbox.redeliver(id));
        eventually("the redelivery", async || receiver.count() == count).await;
    }
    let orders: Vec<_> = (0..3).map(|i| receiver.body(i)["data"]["orderId"].clone()).collect();
    assert_eq!(orders, ["ORDER_2", "ORDER_1", "ORDER_1"]);
    toss.sandbox.forge_webhook(r#"{"eventType":"BILLING_DELETED","data":{"billingKey":"forged"}}"#);
    eventually("the forged one", async || receiver.count() == 4).await;
    assert_eq!(receiver.body(3)["data"]["billingKey"], "forged");
    assert!(!toss.sandbox.redeliver(99));
}
