//! Plans, subscriptions and payments as they are listed, page by page, each to its owner.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Api, Customer, order};
use crate::worker;

/// From now on a customer may hold any number of subscriptions.
async fn allow_several(api: &Api) {
    sqlx::query("update plans set may_be_held_beside_others = true").execute(&api.pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn plans_are_open_to_anyone_with_their_prices(pool: PgPool) {
    let api = Api::new(pool);
    let answer = api.get(&Customer::with_token("nobody".to_owned()), "/api/plans").await;
    let expected = json!({ "success": true, "plans": [
        { "code": "personal", "name": "퍼스널", "monthlyAmount": 9_900, "yearlyAmount": 94_800 },
        { "code": "pro", "name": "프로", "monthlyAmount": 19_900, "yearlyAmount": 190_800 },
    ]});
    assert_eq!(answer.body, expected);
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_follow_one_another_without_a_gap_or_a_repeat(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    allow_several(&api).await;
    for number in 0..5 {
        api.confirm(&customer, &order(&format!("ORDER_{number:06}"))).await;
    }
    api.confirm(&Customer::new(2), &order("ORDER_OTHERS")).await;
    let all = api.get(&customer, "/api/subscriptions").await.body;
    assert_eq!((all["subscriptions"].as_array().unwrap().len(), &all["nextCursor"]), (5, &Value::Null));
    let (mut seen, mut path) = (Vec::new(), "/api/subscriptions?limit=2".to_owned());
    loop {
        let page = api.get(&customer, &path).await.body;
        let rows = page["subscriptions"].as_array().unwrap().clone();
        assert!(rows.len() <= 2);
        seen.extend(rows);
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/api/subscriptions?limit=2&cursor={cursor}");
    }
    assert_eq!(Value::Array(seen), all["subscriptions"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn payments_say_how_they_were_paid_or_why_they_failed(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    let mut seen = Vec::new();
    allow_several(&api).await;
    for order_id in ["ORDER_PAID01", "ORDER_DECLINED", "ORDER_WITHDRAWN"] {
        api.confirm(&customer, &order(order_id)).await;
    }
    worker::pay(&api.pool, "ORDER_PAID01", false).await;
    worker::decline(&api.pool, "ORDER_DECLINED").await;
    worker::withdraw(&api.pool, "ORDER_WITHDRAWN").await;
    let listed = api.get(&customer, "/api/subscriptions").await.body;
    for subscription in listed["subscriptions"].as_array().unwrap() {
        let path = format!("/api/subscriptions/{}/payments", subscription["id"].as_str().unwrap());
        api.get(&Customer::new(2), &path).await.assert_problem(404, "not_found");
        api.get(&customer, &format!("{path}?limit=0")).await.assert_invalid("limit");
        let page = api.get(&customer, &path).await.body;
        assert_eq!((&page["success"], &page["nextCursor"]), (&json!(true), &Value::Null));
        seen.extend(page["payments"].as_array().unwrap().clone());
    }
    seen.sort_by_key(|payment| payment["orderId"].to_string());
    let [declined, paid, withdrawn] = seen.try_into().unwrap();
    assert_eq!((&paid["status"], &paid["paymentMethod"]), (&json!("completed"), &json!("카드")));
    assert_eq!(paid["receiptUrl"], "https://dashboard.tosspayments.com/receipt/1");
    assert_eq!((&paid["amount"], &paid["failure"]), (&json!(94_800), &Value::Null));
    assert!(paid["paidAt"].is_string() && paid["createdAt"].is_string());
    assert_eq!((&declined["status"], &declined["paidAt"]), (&json!("failed"), &Value::Null));
    assert_eq!(declined["failure"]["code"], "REJECT_CARD_PAYMENT");
    let canceled = json!({ "code": "payment_canceled", "message": "결제가 취소되었습니다." });
    assert_eq!(withdrawn["failure"], canceled);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_page_is_refused_by_name_and_makes_no_user(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("limit=ten", "limit"), ("cursor=%00", "cursor")]
    {
        api.get(&customer, &format!("/api/subscriptions?{query}")).await.assert_invalid(field);
    }
    assert_eq!(api.rows().await, [0; 7]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_first_list_makes_the_user_and_later_ones_write_nothing(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    for _ in 0..2 {
        let answer = api.get(&customer, "/api/subscriptions").await;
        assert_eq!(answer.body, json!({ "success": true, "subscriptions": [], "nextCursor": null }));
        assert_eq!(api.rows().await, [1, 0, 0, 0, 0, 0, 0]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_foreign_unknown_or_malformed_subscription_is_not_found(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order("ORDER_123456")).await;
    let listed = api.get(&customer, "/api/subscriptions").await.body;
    let id = listed["subscriptions"][0]["id"].as_str().unwrap();
    assert_eq!(api.get(&customer, &format!("/api/subscriptions/{id}")).await.status, 200);
    api.get(&Customer::new(2), &format!("/api/subscriptions/{id}")).await.assert_problem(404, "not_found");
    for wrong in ["sub_123", "sub_0192f0c15c0070008000000000000001", "%00", "x"] {
        api.get(&customer, &format!("/api/subscriptions/{wrong}")).await.assert_problem(404, "not_found");
        let payments = format!("/api/subscriptions/{wrong}/payments");
        api.get(&customer, &payments).await.assert_problem(404, "not_found");
    }
    for wrong in ["ORDER_UNKNOWN", "%00%00%00%00%00%00", "x"] {
        api.get(&customer, &format!("/api/payments/confirm/{wrong}")).await.assert_problem(404, "not_found");
    }
}
