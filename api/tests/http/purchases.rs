//! Buying while another subscription is held: refused before any money moves, or in the place of the old one.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Api, Customer, order};
use crate::worker;

async fn subscribed(api: &Api, customer: &Customer, with_card: bool) -> String {
    api.confirm(customer, &order("ORDER_FIRST")).await;
    worker::pay(&api.pool, "ORDER_FIRST", with_card).await;
    let listed = api.get(customer, "/api/subscriptions").await.body;
    listed["subscriptions"][0]["id"].as_str().unwrap().to_owned()
}

async fn set(api: &Api, status: &str) {
    let sql = match status {
        "suspended" => {
            "update subscriptions set status = 'past_due'; update subscriptions set status = 'suspended', suspended_at = now()"
        }
        _ => "update subscriptions set status = 'past_due'",
    };
    sqlx::raw_sql(sql).execute(&api.pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_order_of_a_subscriber_is_refused(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let id = subscribed(&api, &customer, true).await;
    let before = api.rows().await;
    let answer = api.confirm(&customer, &order("ORDER_SECOND")).await;
    answer.assert_problem(409, "already_subscribed");
    assert_eq!(answer.body["subscriptionId"], json!(id));
    assert_eq!(answer.body["nextAction"], Value::Null);
    assert!(answer.body.as_object().unwrap().contains_key("nextAction"));
    assert_eq!(api.rows().await, before, "nothing is written, so nothing is sent to Toss");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_tabs_at_once_make_one_subscription(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let (first, second) = (order("ORDER_TAB_1"), order("ORDER_TAB_2"));
    let (first, second) = tokio::join!(api.confirm(&customer, &first), api.confirm(&customer, &second));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::ACCEPTED, StatusCode::CONFLICT]);
    assert_eq!(api.rows().await[1..4], [1, 1, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_is_wanted_while_past_due_or_without_one(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    subscribed(&api, &customer, false).await;
    let refused = api.confirm(&customer, &order("ORDER_SECOND")).await;
    assert_eq!(refused.body["nextAction"], json!("register_payment_method"));
    set(&api, "past_due").await;
    let body = json!({
        "authKey": "auth_1", "customerKey": "customer_1", "plan": "pro", "billingCycle": "monthly",
        "customerEmail": "user@example.com", "customerName": "홍길동",
    });
    let refused = api.post(&customer, "/api/subscriptions", &body).await;
    refused.assert_problem(409, "already_subscribed");
    assert_eq!(refused.body["nextAction"], json!("register_payment_method"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_subscription_is_replaced(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let id = subscribed(&api, &customer, true).await;
    set(&api, "suspended").await;
    assert_eq!(api.confirm(&customer, &order("ORDER_SECOND")).await.status, 202);
    let old = api.get(&customer, &format!("/api/subscriptions/{id}")).await.body;
    assert_eq!(old["subscription"]["status"], json!("canceled"));
    worker::pay(&api.pool, "ORDER_SECOND", true).await;
    let listed = api.get(&customer, "/api/subscriptions").await.body;
    assert_eq!(listed["subscriptions"][0]["status"], json!("active"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paid_period_that_runs_on_is_resumed_instead(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let id = subscribed(&api, &customer, true).await;
    let cancel = json!({ "subscriptionId": id, "reason": "" });
    api.post(&customer, "/api/subscriptions/cancel", &cancel).await;
    let refused = api.confirm(&customer, &order("ORDER_SECOND")).await;
    refused.assert_problem(409, "already_subscribed");
    assert_eq!(
        (&refused.body["subscriptionId"], &refused.body["nextAction"]),
        (&json!(id), &json!("resume"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn the_schema_refuses_a_second_living_subscription(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    subscribed(&api, &customer, true).await;
    let copy = "insert into subscriptions (id, user_id, plan, billing_cycle, customer_key, amount, customer_email, customer_name,
                    anchor_on, current_period_start, current_period_end, next_billing_date, created_at, updated_at)
                select gen_random_uuid(), user_id, plan, billing_cycle, customer_key, amount, customer_email, customer_name,
                    anchor_on, current_period_start, current_period_end, next_billing_date, now(), now() from subscriptions";
    let refused = sqlx::query(copy).execute(&api.pool).await.unwrap_err();
    let constraint = refused.as_database_error().and_then(|error| error.constraint());
    assert_eq!(constraint, Some("subscriptions_one_living_per_user"));
}
