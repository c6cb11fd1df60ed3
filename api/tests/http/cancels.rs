//! Cancelling: once, one's own, with access to the end of what is paid.

use common::{domain::payment::PaymentStatus, store::payments};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Api, Customer, order};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";

async fn subscribed(pool: PgPool) -> (Api, Customer, String) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let listed = api.get(&customer, "/api/subscriptions").await;
    let id = listed.body["subscriptions"][0]["id"].as_str().unwrap().to_owned();
    (api, customer, id)
}

async fn cancel(api: &Api, who: &Customer, id: &str) -> Answer {
    let body = json!({ "subscriptionId": id, "reason": "서비스 불만족" });
    api.post(who, "/api/subscriptions/cancel", &body).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_subscription_is_open_until_its_period_ends(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let answer = cancel(&api, &customer, &id).await;
    assert_eq!(answer.status, 200);
    let subscription = &answer.body["subscription"];
    assert_eq!((&answer.body["success"], &subscription["status"]), (&json!(true), &json!("canceled")));
    assert_eq!(subscription["accessUntil"], subscription["currentPeriodEnd"]);
    assert_eq!(subscription["nextBillingDate"], Value::Null);
    assert_eq!(subscription["hasAccess"], true);
    let (actor, why): (String, String) =
        sqlx::query_as("select actor, why from subscription_events where what = 'subscription.canceled'")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!((actor, why), (format!("customer:{}", customer.id), "서비스 불만족".to_owned()));
    let shown = api.get(&customer, &format!("/api/subscriptions/{id}")).await;
    assert_eq!(&shown.body["subscription"], subscription);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_cancel_is_a_conflict_and_writes_nothing(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    cancel(&api, &customer, &id).await;
    let before = api.rows().await;
    cancel(&api, &customer, &id).await.assert_problem(409, "already_canceled");
    assert_eq!(api.rows().await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn unknown_foreign_and_malformed_ids_are_not_found(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let before = api.rows().await;
    for wrong in ["sub_123", "", "sub_", "a\u{0}", "sub_0192f0c15c0070008000000000000001"] {
        cancel(&api, &customer, wrong).await.assert_problem(404, "not_found");
    }
    let foreign = cancel(&api, &Customer::new(2), &id).await;
    foreign.assert_problem(404, "not_found");
    assert_eq!(api.rows().await, before);
    let shown = api.get(&customer, &format!("/api/subscriptions/{id}")).await;
    assert_eq!(shown.body["subscription"]["status"], "active");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plain_uuid_is_accepted_and_the_reason_may_be_left_out(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let plain = id.strip_prefix("sub_").unwrap().parse::<uuid::Uuid>().unwrap().to_string();
    let body = json!({ "subscriptionId": plain });
    assert_eq!(api.post(&customer, "/api/subscriptions/cancel", &body).await.status, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_leaves_a_first_payment_under_way_to_its_job(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    let listed = api.get(&customer, "/api/subscriptions").await;
    let answer = cancel(&api, &customer, listed.body["subscriptions"][0]["id"].as_str().unwrap()).await;
    assert_eq!(answer.body["subscription"]["status"], "canceled");
    assert_eq!(answer.body["subscription"]["hasAccess"], false);
    let mut conn = api.pool.acquire().await.unwrap();
    let payment = payments::find_by_order(&mut conn, ORDER).await.unwrap().unwrap();
    assert_eq!(payment.status, PaymentStatus::Pending);
}
