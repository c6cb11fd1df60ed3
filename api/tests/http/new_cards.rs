//! A new card over HTTP: one's own subscription, each field named, one registration per one-time key.

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

async fn register(api: &Api, who: &Customer, id: &str, body: &Value) -> Answer {
    api.post(who, &format!("/api/subscriptions/{id}/payment-method"), body).await
}

fn card(who: &Customer, auth_key: &str) -> Value {
    json!({ "authKey": auth_key, "customerKey": who.id })
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_field_is_named_and_nothing_is_written(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let before = api.rows().await;
    for wrong in [json!(null), json!(""), json!(1), json!("a\u{0}"), json!("a".repeat(301))] {
        let body = json!({ "authKey": wrong, "customerKey": customer.id });
        register(&api, &customer, &id, &body).await.assert_invalid("authKey");
    }
    for wrong in [json!(null), json!("a"), json!("한글"), json!(Customer::new(2).id)] {
        let body = json!({ "authKey": "bln_1", "customerKey": wrong });
        register(&api, &customer, &id, &body).await.assert_invalid("customerKey");
    }
    assert_eq!(api.rows().await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_key_that_toss_takes_registers_a_card(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    for (n, length) in [51, 255, 300].into_iter().enumerate() {
        let key = "k".repeat(length);
        let imported = "update subscriptions set customer_key = $1";
        sqlx::query(imported).bind(&key).execute(&api.pool).await.unwrap();
        let body = json!({ "authKey": format!("bln_{n}"), "customerKey": key });
        assert_eq!(register(&api, &customer, &id, &body).await.status, 202, "{length}");
        sqlx::query("truncate card_registrations cascade").execute(&api.pool).await.unwrap();
    }
    let body = json!({ "authKey": "bln_9", "customerKey": "k".repeat(301) });
    let refused = register(&api, &customer, &id, &body).await;
    assert!(refused.body["message"].as_str().unwrap().contains("2~300자"), "{}", refused.body);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_is_recorded_once_per_key_before_the_answer(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let answer = register(&api, &customer, &id, &card(&customer, "bln_1")).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["statusUrl"], format!("/api/subscriptions/{id}/payment-method"));
    assert_eq!(register(&api, &customer, &id, &card(&customer, "bln_1")).await.body, answer.body);
    let other = register(&api, &customer, &id, &card(&customer, "bln_2")).await;
    other.assert_problem(409, "registration_in_progress");
    let jobs: Vec<String> =
        sqlx::query_scalar("select args::text from jobs where kind = 'issue-billing-key'")
            .fetch_all(&api.pool)
            .await
            .unwrap();
    assert_eq!(jobs.len(), 1);
    assert!(!jobs[0].contains("bln_1"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refused_card_is_answered_with_tosss_code(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    register(&api, &customer, &id, &card(&customer, "bln_1")).await;
    let sql = "update card_registrations set status = 'refused', auth_key = null, settled_at = created_at,
                      toss_code = 'INVALID_STOPPED_CARD', toss_message = '정지된 카드 입니다.'";
    sqlx::query(sql).execute(&api.pool).await.unwrap();
    let answer = register(&api, &customer, &id, &card(&customer, "bln_1")).await;
    answer.assert_problem(402, "card_refused");
    assert_eq!(answer.body["tossCode"], "INVALID_STOPPED_CARD");
    assert_eq!(register(&api, &customer, &id, &card(&customer, "bln_2")).await.status, 202);
}

#[sqlx::test(migrations = "../migrations")]
async fn foreign_and_canceled_subscriptions_take_no_card(pool: PgPool) {
    let (api, customer, id) = subscribed(pool).await;
    let stranger = Customer::new(2);
    register(&api, &stranger, &id, &card(&stranger, "bln_1")).await.assert_problem(404, "not_found");
    api.post(&customer, "/api/subscriptions/cancel", &json!({ "subscriptionId": id })).await;
    let canceled = register(&api, &customer, &id, &card(&customer, "bln_1")).await;
    canceled.assert_problem(409, "already_canceled");
}
