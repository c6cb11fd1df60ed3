//! Subscribing with a registered card over HTTP: each field named, one subscription per one-time key, the same answer later.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Api, Customer};

fn request(who: &Customer, auth_key: &str) -> Value {
    json!({
        "authKey": auth_key,
        "customerKey": who.id,
        "plan": "personal",
        "billingCycle": "monthly",
        "customerEmail": "user@example.com",
        "customerName": "홍길동",
    })
}

async fn subscribe(api: &Api, who: &Customer, body: &Value) -> Answer {
    api.post(who, "/api/subscriptions", body).await
}

async fn the_one(api: &Api, who: &Customer) -> String {
    let listed = api.get(who, "/api/subscriptions").await;
    listed.body["subscriptions"][0]["id"].as_str().unwrap().to_owned()
}

/// The worker's part: what it would have written.
async fn worker(api: &Api, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&api.pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_field_is_named_and_nothing_is_written(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let before = api.rows().await;
    for field in ["authKey", "customerKey", "plan", "billingCycle", "customerEmail", "customerName"] {
        for wrong in [json!(null), json!(""), json!(1)] {
            let mut body = request(&customer, "bln_1");
            body[field] = wrong;
            subscribe(&api, &customer, &body).await.assert_invalid(field);
        }
    }
    let mut body = request(&customer, "bln_1");
    body["plan"] = json!("gold");
    subscribe(&api, &customer, &body).await.assert_invalid("plan");
    let mut body = request(&customer, "bln_1");
    body["amount"] = json!("9900");
    subscribe(&api, &customer, &body).await.assert_invalid("amount");
    body["amount"] = json!(8900);
    subscribe(&api, &customer, &body).await.assert_problem(422, "amount_mismatch");
    assert_eq!(api.rows().await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_is_recorded_with_its_jobs_and_has_a_status(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let answer = subscribe(&api, &customer, &request(&customer, "bln_1")).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = the_one(&api, &customer).await;
    let status = format!("/api/subscriptions/{id}/payment-method");
    assert_eq!(answer.body["statusUrl"], status);
    assert_eq!(api.get(&customer, &status).await.body, answer.body);
    api.get(&Customer::new(2), &status).await.assert_problem(404, "not_found");
    let seen = api.get(&customer, &format!("/api/subscriptions/{id}")).await;
    assert_eq!(seen.body["subscription"]["status"], "incomplete");
    assert_eq!(seen.body["subscription"]["hasAccess"], false);
    let kinds: Vec<String> =
        sqlx::query_scalar("select kind from jobs order by kind").fetch_all(&api.pool).await.unwrap();
    assert_eq!(kinds, ["end-incomplete-subscription", "issue-billing-key"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_key_ten_times_at_once_is_one_subscription(pool: PgPool) {
    let api = Arc::new(Api::new(pool));
    let ten: Vec<_> = (0..10)
        .map(|_| {
            let api = Arc::clone(&api);
            tokio::spawn(async move {
                let customer = Customer::new(1);
                subscribe(&api, &customer, &request(&customer, "bln_1")).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for one in ten {
        let answer = one.await.unwrap();
        answers.push((answer.status.as_u16(), answer.body.clone()));
    }
    answers.dedup();
    assert_eq!((answers.len(), answers[0].0), (1, 202), "{answers:?}");
    // One user, subscription and invoice, no payment yet, two jobs.
    assert_eq!(api.rows().await, [1, 1, 1, 0, 2, 0, 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_key_with_other_content_is_a_conflict(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    subscribe(&api, &customer, &request(&customer, "bln_1")).await;
    let before = api.rows().await;
    let mut other = request(&customer, "bln_1");
    other["billingCycle"] = json!("yearly");
    subscribe(&api, &customer, &other).await.assert_problem(409, "auth_key_used");
    let stranger = Customer::new(2);
    subscribe(&api, &stranger, &request(&stranger, "bln_1")).await.assert_problem(409, "auth_key_used");
    assert_eq!(api.rows().await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refused_card_names_the_subscription_that_waits_for_another(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    subscribe(&api, &customer, &request(&customer, "bln_1")).await;
    let id = the_one(&api, &customer).await;
    worker(
        &api,
        "update card_registrations set status = 'refused', auth_key = null, settled_at = created_at,
                toss_code = 'INVALID_STOPPED_CARD', toss_message = '정지된 카드 입니다.'",
    )
    .await;
    let status = format!("/api/subscriptions/{id}/payment-method");
    for answer in
        [subscribe(&api, &customer, &request(&customer, "bln_1")).await, api.get(&customer, &status).await]
    {
        answer.assert_problem(402, "card_refused");
        assert_eq!(answer.body["tossCode"], "INVALID_STOPPED_CARD");
        assert_eq!(answer.body["subscriptionId"], json!(id));
    }
    let seen = api.get(&customer, &format!("/api/subscriptions/{id}")).await;
    assert!(seen.body["subscription"]["repairUntil"].is_string(), "{}", seen.body);
    let another = json!({ "authKey": "bln_2", "customerKey": customer.id });
    let repaired = api.post(&customer, &status, &another).await;
    assert_eq!((repaired.status.as_u16(), &repaired.body["statusUrl"]), (202, &json!(status)));
}
