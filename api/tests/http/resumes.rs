//! Resuming: one's own, while what is paid for runs; everything else is refused and writes nothing.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Api, Customer, order};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";

async fn canceled(pool: PgPool) -> (Api, Customer, String) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let listed = api.get(&customer, "/api/subscriptions").await;
    let id = listed.body["subscriptions"][0]["id"].as_str().unwrap().to_owned();
    let body = json!({ "subscriptionId": id });
    assert_eq!(api.post(&customer, "/api/subscriptions/cancel", &body).await.status, 200);
    (api, customer, id)
}

async fn resume(api: &Api, who: &Customer, id: &str) -> Answer {
    api.post(who, &format!("/api/subscriptions/{id}/resume"), &Value::Null).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_resumed_subscription_is_active_with_its_old_next_date(pool: PgPool) {
    let (api, customer, id) = canceled(pool).await;
    let answer = resume(&api, &customer, &id).await;
    assert_eq!(answer.status, 200);
    let subscription = &answer.body["subscription"];
    assert_eq!((&answer.body["success"], &subscription["status"]), (&json!(true), &json!("active")));
    assert_eq!(subscription["nextBillingDate"], subscription["currentPeriodEnd"]);
    assert_eq!(subscription.get("accessUntil"), None);
    let actor: String =
        sqlx::query_scalar("select actor from subscription_events where what = 'subscription.resumed'")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!(actor, format!("customer:{}", customer.id));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_resume_is_a_conflict_and_writes_nothing(pool: PgPool) {
    let (api, customer, id) = canceled(pool).await;
    resume(&api, &customer, &id).await;
    let before = api.rows().await;
    resume(&api, &customer, &id).await.assert_problem(409, "not_canceled");
    assert_eq!(api.rows().await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_foreign_or_unknown_subscription_is_not_found(pool: PgPool) {
    let (api, customer, id) = canceled(pool).await;
    resume(&api, &Customer::new(2), &id).await.assert_problem(404, "not_found");
    for wrong in ["sub_123", "sub_0192f0c15c0070008000000000000001"] {
        resume(&api, &customer, wrong).await.assert_problem(404, "not_found");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn after_the_paid_period_a_resume_is_a_conflict(pool: PgPool) {
    let (api, customer, id) = canceled(pool).await;
    api.clock.follow(366 * 24 * 3_600 * 1_000, 1);
    resume(&api, &customer, &id).await.assert_problem(409, "period_ended");
}
