//! Brings webhooks as Toss does, forges some, and reads what the books say afterwards.

use common::commands::receive_webhook::{Arrival, receive_webhook};
use common::domain::money::Won;
use common::domain::refund::Refund;
use common::jobs;
use common::jobs::RefundPayment;
use common::store::refunds;
use sandbox::Webhook;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;

/// Arrives as Toss sends it. Answers whether it is news.
pub(crate) async fn arrive(world: &World, transmission_id: &str, body: &str) -> bool {
    let arrival = Arrival {
        transmission_id: Some(transmission_id.to_owned()),
        transmission_time: Some("2026-12-22T02:00:00+09:00".to_owned()),
        body: body.into(),
        ..Arrival::default()
    };
    let mut tx = world.pool.begin().await.unwrap();
    let id = receive_webhook(&mut tx, &arrival, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    id.is_some()
}

/// The event is delivered, and whatever follows from it at once is done.
pub(crate) async fn deliver(world: &World, webhook: &Webhook) -> bool {
    let is_new = arrive(world, &webhook.transmission_id, &webhook.body).await;
    world.run_due_jobs().await;
    is_new
}

pub(crate) async fn forge(world: &World, name: &str, body: &Value) -> (String, String) {
    arrive(world, name, &body.to_string()).await;
    world.run_due_jobs().await;
    end_of(world, name).await
}

/// State and note of a webhook.
pub(crate) async fn end_of(world: &World, transmission_id: &str) -> (String, String) {
    sqlx::query_as("select state, coalesce(note, '') from webhook_events_in where transmission_id = $1")
        .bind(transmission_id)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// All rows about money and customers, but for when a payment was read back: that decides nothing.
pub(crate) async fn books(world: &World) -> Vec<String> {
    let sql = "select (to_jsonb(p) - 'read_back_at' - 'followed_up_at')::text from payments p union all select r::text from refunds r
               union all select i::text from invoices i union all select s::text from subscriptions s
               union all select e::text from subscription_events e union all select m.unique_key from emails m
               order by 1";
    sqlx::query_scalar(sql).fetch_all(&world.pool).await.unwrap()
}

/// Amount, who asked, and status of each refund, smallest first.
pub(crate) async fn booked(world: &World) -> Vec<(i32, String, String)> {
    let sql = "select amount, requested_by, status from refunds order by amount";
    sqlx::query_as(sql).fetch_all(&world.pool).await.unwrap()
}

pub(crate) fn refund_mails(world: &World) -> usize {
    world.subjects().iter().filter(|subject| *subject == "집체크 환불 완료").count()
}

/// A refund in Toss's dashboard; answers the event that tells of it.
pub(crate) async fn refund_in_dashboard(world: &World, id: Uuid, amount: Option<i64>) -> Webhook {
    let key = world.history(id).await.payments[0].payment_key.clone().unwrap();
    world.sandbox.cancel_in_dashboard(&key, amount, "고객 요청").unwrap();
    world.sandbox.webhooks().pop().unwrap()
}

/// A refund of our own is asked for; its job has not run yet.
pub(crate) async fn ask_for_refund(world: &World, id: Uuid, amount: i64) {
    let refund = Refund::new(
        world.history(id).await.payments[0].id,
        Won::new(amount).unwrap(),
        "고객 요청",
        "operator:kim",
        world.now(),
    );
    let mut tx = world.pool.begin().await.unwrap();
    refunds::insert(&mut tx, &refund, "asked", world.now()).await.unwrap();
    let job = RefundPayment { refund_id: refund.id, subscription_id: id };
    jobs::enqueue(&mut tx, &job, world.now(), world.now()).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn billing_key(world: &World, id: Uuid) -> SecretString {
    let sealed = world.history(id).await.subscription.sealed_billing_key.unwrap();
    world.env.sealer.open(&sealed, id).unwrap()
}

pub(crate) fn deletion(key: &SecretString) -> Value {
    json!({"eventType": "BILLING_DELETED", "createdAt": "2026-12-01T00:00:00.000000",
           "data": {"billingKey": key.expose_secret(), "reason": "삭제 API 요청"}})
}

pub(crate) fn change(order_id: &str, secret: Option<&str>) -> Value {
    json!({"eventType": "PAYMENT_STATUS_CHANGED",
           "data": {"orderId": order_id, "paymentKey": "forged", "status": "CANCELED", "secret": secret,
                    "totalAmount": 9_900, "balanceAmount": 0,
                    "cancels": [{"cancelAmount": 9_900, "transactionKey": "forged", "cancelStatus": "DONE"}]}})
}
