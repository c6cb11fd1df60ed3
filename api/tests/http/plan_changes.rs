//! Changes of plan: one's own, at the next renewal, with a consent where it gets dearer; everything else is refused.

use axum::http::{Method, header};
use common::clock::Clock;
use common::commands::announce_price::{Announcement, announce_price};
use common::commands::roll_out_price::{Part, next_batch, roll_out};
use common::domain::calendar::{Cycle, days_after, seoul_date};
use common::domain::money::Won;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, Api, Customer, order};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// An active yearly subscription to the personal plan.
async fn active(pool: PgPool) -> (Api, Customer, String) {
    let (api, customer) = (Api::new(pool), Customer::new(1));
    api.confirm(&customer, &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let listed = api.get(&customer, "/api/subscriptions").await;
    let id = listed.body["subscriptions"][0]["id"].as_str().unwrap().to_owned();
    (api, customer, id)
}

async fn change(api: &Api, who: &Customer, id: &str, body: &Value) -> Answer {
    api.post(who, &format!("/api/subscriptions/{id}/plan"), body).await
}

async fn consent(api: &Api, who: &Customer, id: &str, body: &Value) -> Answer {
    api.post(who, &format!("/api/subscriptions/{id}/consents"), body).await
}

fn pro() -> Value {
    json!({ "plan": "pro", "billingCycle": "yearly" })
}

/// What the pending change asks to be agreed to.
fn agreed(answer: &Answer) -> Value {
    let pending = &answer.body["subscription"]["pendingChange"];
    json!({ "text": pending["consent"]["text"], "amount": pending["newAmount"], "effectiveDate": pending["effectiveDate"] })
}

async fn written(api: &Api) -> (i64, i64, [i64; 7]) {
    let (changes, consents) =
        sqlx::query_as("select (select count(*) from plan_changes), (select count(*) from consents)")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    (changes, consents, api.rows().await)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_is_pending_until_the_renewal_and_can_be_taken_back(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    let answer = change(&api, &customer, &id, &pro()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let subscription = &answer.body["subscription"];
    assert_eq!((&subscription["plan"], &subscription["amount"]), (&json!("personal"), &json!(94_800)));
    let pending = &subscription["pendingChange"];
    assert_eq!(pending["effectiveDate"], subscription["nextBillingDate"]);
    assert_eq!((&pending["oldAmount"], &pending["newAmount"]), (&json!(94_800), &json!(190_800)));
    assert_eq!((&pending["plan"], &pending["canUndo"]), (&json!("pro"), &json!(true)));
    assert_eq!(pending["consent"]["givenAt"], Value::Null);
    let text = pending["consent"]["text"].as_str().unwrap();
    assert!(text.contains("94,800원에서 190,800원으로") && text.contains("해지"), "{text}");
    let shown = api.get(&customer, &format!("/api/subscriptions/{id}")).await;
    assert_eq!(&shown.body["subscription"]["pendingChange"], pending);
    let listed = api.get(&customer, "/api/subscriptions").await;
    assert_eq!(&listed.body["subscriptions"][0]["pendingChange"], pending);

    let undone = api.post(&customer, &format!("/api/subscriptions/{id}/plan/undo"), &Value::Null).await;
    assert_eq!(undone.status, 200);
    assert_eq!(undone.body["subscription"].get("pendingChange"), None);
    let again = api.post(&customer, &format!("/api/subscriptions/{id}/plan/undo"), &Value::Null).await;
    again.assert_problem(409, "no_pending_change");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cheaper_change_asks_for_nothing(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    let monthly = json!({ "plan": "personal", "billingCycle": "monthly" });
    let answer = change(&api, &customer, &id, &monthly).await;
    assert_eq!(answer.body["subscription"]["pendingChange"].get("consent"), None);
    let given = consent(
        &api,
        &customer,
        &id,
        &json!({ "text": "x", "amount": 9_900,
                 "effectiveDate": answer.body["subscription"]["pendingChange"]["effectiveDate"] }),
    )
    .await;
    given.assert_problem(409, "consent_not_needed");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_consent_is_kept_with_what_was_shown_and_from_where(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    let asked = change(&api, &customer, &id, &pro()).await;
    let before = written(&api).await;
    consent(&api, &customer, &id, &agreed(&asked)).await.assert_problem(409, "consent_too_early");
    assert_eq!(written(&api).await, before);

    api.clock.follow(340 * DAY_MS, 1);
    let request = customer
        .request(Method::POST, &format!("/api/subscriptions/{id}/consents"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "Mozilla/5.0 (한글)")
        .header("x-forwarded-for", "203.0.113.7");
    let given = api.send(request.body(agreed(&asked).to_string().into()).unwrap()).await;
    assert_eq!(given.status, 200, "{}", given.body);
    assert!(given.body["subscription"]["pendingChange"]["consent"]["givenAt"].is_string());
    let row: (String, i32, i32, String, String, String) = sqlx::query_as(
        "select shown_text, old_amount, new_amount, forwarded_for, user_agent, given_by from consents",
    )
    .fetch_one(&api.pool)
    .await
    .unwrap();
    assert_eq!(json!(row.0), agreed(&asked)["text"]);
    assert_eq!((row.1, row.2, row.3.as_str()), (94_800, 190_800, "203.0.113.7"));
    assert!(row.4.starts_with("Mozilla/5.0") && row.5 == format!("customer:{}", customer.id));

    let before = written(&api).await;
    assert_eq!(consent(&api, &customer, &id, &agreed(&asked)).await.status, 200);
    assert_eq!(written(&api).await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refused_consent_leaves_neither_consent_nor_change(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    let asked = change(&api, &customer, &id, &pro()).await;
    let whole = |consent: Value| json!({ "plan": "pro", "billingCycle": "yearly", "consent": consent });
    let before = written(&api).await;
    change(&api, &customer, &id, &whole(agreed(&asked))).await.assert_problem(409, "consent_too_early");
    assert_eq!(written(&api).await, before);
    api.clock.follow(340 * DAY_MS, 1);
    let mut other = agreed(&asked);
    other["amount"] = json!(190_799);
    change(&api, &customer, &id, &whole(other)).await.assert_invalid("amount");
    assert_eq!(written(&api).await, before);
    let both = change(&api, &customer, &id, &whole(agreed(&asked))).await;
    assert!(both.body["subscription"]["pendingChange"]["consent"]["givenAt"].is_string(), "{}", both.body);
}

#[sqlx::test(migrations = "../migrations")]
async fn bad_input_names_the_field_and_writes_nothing(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    change(&api, &customer, &id, &pro()).await;
    let before = written(&api).await;
    for (field, value) in [
        ("plan", Value::Null),
        ("plan", json!(1)),
        ("plan", json!("gold")),
        ("billingCycle", json!("weekly")),
        ("billingCycle", Value::Null),
        ("consent", json!("yes")),
        ("consent", json!([])),
    ] {
        let mut body = pro();
        body[field] = value;
        change(&api, &customer, &id, &body).await.assert_invalid(field);
    }
    let good = json!({ "text": "동의합니다", "amount": 190_800, "effectiveDate": "2027-01-01" });
    for (field, value) in [
        ("text", json!("")),
        ("text", json!(" \n ")),
        ("text", json!("a\u{0}b")),
        ("text", json!("가".repeat(4_001))),
        ("text", Value::Null),
        ("amount", json!(0)),
        ("amount", json!(190_800.0)),
        ("amount", json!("190800")),
        ("amount", json!(1)),
        ("effectiveDate", json!("2027-02-30")),
        ("effectiveDate", json!("01/01/2027")),
        ("effectiveDate", json!(20_270_101)),
        ("effectiveDate", json!("1999-01-01")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        consent(&api, &customer, &id, &body).await.assert_invalid(field);
    }
    api.post_text(&customer, &format!("/api/subscriptions/{id}/plan"), "{")
        .await
        .assert_problem(400, "malformed");
    assert_eq!(written(&api).await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_to_the_same_terms_is_409_and_a_foreign_one_404(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    let same = json!({ "plan": "personal", "billingCycle": "yearly" });
    change(&api, &customer, &id, &same).await.assert_problem(409, "plan_unchanged");
    let any = json!({ "text": "x", "amount": 1, "effectiveDate": "2027-01-01" });
    consent(&api, &customer, &id, &any).await.assert_problem(409, "no_pending_change");
    let other = Customer::new(2);
    change(&api, &other, &id, &pro()).await.assert_problem(404, "not_found");
    consent(&api, &other, &id, &any).await.assert_problem(404, "not_found");
    api.post(&other, &format!("/api/subscriptions/{id}/plan/undo"), &Value::Null)
        .await
        .assert_problem(404, "not_found");
    for wrong in ["sub_123", "sub_0192f0c15c0070008000000000000001"] {
        change(&api, &customer, wrong, &pro()).await.assert_problem(404, "not_found");
    }
    api.post(&customer, "/api/subscriptions/cancel", &json!({ "subscriptionId": id })).await;
    change(&api, &customer, &id, &pro()).await.assert_problem(409, "already_canceled");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_price_is_shown_agreed_to_and_not_taken_back(pool: PgPool) {
    let (api, customer, id) = active(pool).await;
    let now = Clock::Test(api.clock.clone()).now();
    let wanted = Announcement {
        plan: "personal",
        cycle: Cycle::Yearly,
        price: Won::new(118_800).unwrap(),
        was: None,
        effective_from: days_after(seoul_date(now), 31).unwrap(),
        actor: "operator:kim",
        reason: "higher costs",
    };
    let mut conn = api.pool.acquire().await.unwrap();
    let price = announce_price(&mut conn, wanted, now).await.unwrap();
    let affected = next_batch(&mut conn, &price, Part::MakeMissing, Uuid::nil(), now).await.unwrap();
    assert_eq!(affected.len(), 1);
    roll_out(&mut conn, &price, Part::MakeMissing, affected, now).await.unwrap();
    drop(conn);
    let answer = api.get(&customer, &format!("/api/subscriptions/{id}")).await;
    let pending = &answer.body["subscription"]["pendingChange"];
    assert_eq!((&pending["plan"], &pending["billingCycle"]), (&json!("personal"), &json!("yearly")));
    assert_eq!((&pending["oldAmount"], &pending["newAmount"]), (&json!(94_800), &json!(118_800)));
    assert_eq!((&pending["canUndo"], &pending["consent"]["givenAt"]), (&json!(false), &Value::Null));
    let undone = api.post(&customer, &format!("/api/subscriptions/{id}/plan/undo"), &Value::Null).await;
    undone.assert_problem(409, "no_pending_change");
    consent(&api, &customer, &id, &agreed(&answer)).await.assert_problem(409, "consent_too_early");
    api.clock.follow(340 * DAY_MS, 1);
    let given = consent(&api, &customer, &id, &agreed(&answer)).await;
    assert_eq!(given.status, 200, "{}", given.body);
    assert_ne!(given.body["subscription"]["pendingChange"]["consent"]["givenAt"], Value::Null);
    let plans = api.get(&customer, "/api/plans").await;
    assert!(plans.body.to_string().contains("118800"), "{}", plans.body);
}
