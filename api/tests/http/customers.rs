//! A customer's own address and name.

use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Api, Customer, order};
use crate::worker;

async fn patch(api: &Api, who: &Customer, body: &Value) -> Answer {
    let request =
        who.request(Method::PATCH, "/api/customers/me").header(header::CONTENT_TYPE, "application/json");
    api.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[sqlx::test(migrations = "../migrations")]
async fn the_newest_address_is_used_by_later_emails(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order("ORDER_FIRST")).await;
    let changed = patch(&api, &customer, &json!({ "customerEmail": "new@example.com" })).await;
    let expected = json!({ "success": true, "customerEmail": "new@example.com", "customerName": "홍길동" });
    assert_eq!((changed.status.as_u16(), &changed.body), (200, &expected));
    worker::pay(&api.pool, "ORDER_FIRST", true).await;
    let listed = api.get(&customer, "/api/subscriptions").await.body;
    let cancel = json!({ "subscriptionId": listed["subscriptions"][0]["id"], "reason": "" });
    api.post(&customer, "/api/subscriptions/cancel", &cancel).await;
    let addresses: Vec<String> =
        sqlx::query_scalar("select distinct to_address from emails").fetch_all(&api.pool).await.unwrap();
    assert_eq!(addresses, ["new@example.com"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_address_or_name_is_named_and_changes_nothing(pool: PgPool) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    patch(&api, &customer, &json!({ "customerEmail": "nobody" })).await.assert_invalid("customerEmail");
    for empty in ["", "\u{3164}", "\u{200b}", "\u{2800}"] {
        patch(&api, &customer, &json!({ "customerName": empty })).await.assert_invalid("customerName");
    }
    let unchanged = patch(&api, &customer, &json!({})).await;
    assert_eq!(
        (&unchanged.body["customerEmail"], &unchanged.body["customerName"]),
        (&Value::Null, &Value::Null)
    );
}
