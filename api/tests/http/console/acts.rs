//! Actions: the form says what will happen, a reason is asked for, and one audit row stays.

use common::{domain::operator::Role, store::payments};
use sqlx::PgPool;
use uuid::Uuid;

use super::browser::Browser;
use crate::support::{Api, Customer, order};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";

/// A paid subscription's payment and subscription.
async fn paid(pool: PgPool) -> (Api, Uuid, Uuid) {
    let api = Api::new(pool);
    api.confirm(&Customer::new(1), &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    let payment =
        payments::find_by_order(&mut api.pool.acquire().await.unwrap(), ORDER).await.unwrap().unwrap();
    (api, payment.id, payment.subscription_id)
}

async fn count(api: &Api, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&api.pool).await.unwrap()
}

const REFUNDS: &str = "select count(*) from refunds";
const ACTIONS: &str = "select count(*) from operator_actions";

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_default();
    field.split('"').next().unwrap_or_default().to_owned()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_is_shown_first_and_recorded_with_its_reason(pool: PgPool) {
    let (api, payment, _) = paid(pool).await;
    let mut browser = Browser::with_role(&api, Role::Operator).await;
    let path = format!("/console/act/payment.refund/{payment}");
    let form = browser.get(&format!("{path}?amount=10%2C000")).await;
    assert_eq!(form.status, 200);
    assert!(form.page().contains("고객에게 10,000원을 환불합니다"), "{}", form.page());
    assert_eq!((count(&api, REFUNDS).await, count(&api, ACTIONS).await), (0, 0));
    let (seen, key) = (hidden(form.page(), "seen"), hidden(form.page(), "key"));
    let with = |reason| [("amount", "10,000"), ("seen", &seen), ("key", &key), ("reason", reason)];
    let refused = browser.post(&path, &with(" ")).await;
    assert_eq!((refused.status.as_u16(), count(&api, REFUNDS).await), (422, 0));
    let done = browser.post(&path, &with("고객 요청")).await;
    assert!(done.status == 303 && done.location().starts_with("/console/actions/"), "{}", done.page());
    // The same form again is the same action.
    assert_eq!(browser.post(&path, &with("고객 요청")).await.location(), done.location());
    assert_eq!((count(&api, REFUNDS).await, count(&api, ACTIONS).await), (1, 1));
    let record = browser.get(done.location()).await;
    for text in ["operator@example.com", "고객 요청", "payment.refund"] {
        assert!(record.page().contains(text), "{text}: {}", record.page());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_changed_meanwhile_is_shown_and_not_done(pool: PgPool) {
    let (api, _, subscription) = paid(pool).await;
    let mut browser = Browser::with_role(&api, Role::Operator).await;
    let path = format!("/console/act/subscription.pause_charging/{subscription}");
    let form = browser.get(&path).await;
    let seen = hidden(form.page(), "seen");
    assert!(!seen.is_empty(), "{}", form.page());
    let mut other = Browser::with_role(&api, Role::Admin).await;
    let reason = ("reason", "customer disputes the charge");
    other.post(&format!("/console/act/subscription.cancel/{subscription}"), &[reason]).await;
    let late = browser.post(&path, &[("seen", &seen), reason]).await;
    assert_eq!(late.status, 409);
    assert!(late.page().contains("그사이"), "{}", late.page());
    let paused = "select count(*) from subscriptions where charging_paused_at is not null";
    assert_eq!((count(&api, paused).await, count(&api, ACTIONS).await), (0, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_viewers_form_does_nothing_and_stays_on_record(pool: PgPool) {
    let (api, payment, subscription) = paid(pool).await;
    let mut viewer = Browser::with_role(&api, Role::Viewer).await;
    let path = format!("/console/act/payment.refund/{payment}");
    assert_eq!(viewer.post(&path, &[("reason", "because I can")]).await.status, 403);
    assert_eq!(count(&api, REFUNDS).await, 0);
    let row: (String, String, String, String) =
        sqlx::query_as("select actor, action, target_id, reason from operator_actions")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!(row.0, "operator:viewer@example.com");
    assert_eq!((row.1.as_str(), row.2), ("access.refused", payment.to_string()));
    assert!(row.3.contains(&path), "{}", row.3);
    let page = viewer.get(&format!("/console/subscriptions/{subscription}")).await;
    assert!(!page.page().contains("/console/act/"), "no button for a viewer");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_is_sent_again_once_and_on_record(pool: PgPool) {
    let (api, ..) = paid(pool).await;
    let mut browser = Browser::with_role(&api, Role::Operator).await;
    let sent = "insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text,
                                    message_id, status, created_at, settled_at)
                select gen_random_uuid(), 'payment_succeeded', 'one', user_id, id, customer_email, 'subject', '<p>html', 'text',
                       'one@example.com', 'sent', now(), now() from subscriptions returning id";
    let email: Uuid = sqlx::query_scalar(sent).fetch_one(&api.pool).await.unwrap();
    let path = format!("/console/act/email.resend/{email}");
    let form = browser.get(&path).await;
    assert!(form.page().contains("이메일을 다시 보냅니다"), "{}", form.page());
    let (seen, key) = (hidden(form.page(), "seen"), hidden(form.page(), "key"));
    let given = [("seen", seen.as_str()), ("key", &key), ("reason", "고객 요청")];
    for _ in 0..2 {
        assert_eq!(browser.post(&path, &given).await.status, 303);
    }
    let again = "select count(*) from emails where resend_of is not null";
    assert_eq!((count(&api, again).await, count(&api, ACTIONS).await), (1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_claim_that_a_payment_is_paid_asks_for_its_key(pool: PgPool) {
    let api = Api::new(pool);
    api.confirm(&Customer::new(1), &order(ORDER)).await;
    let unknown = "update payments set status = 'unknown', sent_at = now(), first_sent_at = now(), unknown_since = now(),
                   review_since = now() returning id";
    let payment: Uuid = sqlx::query_scalar(unknown).fetch_one(&api.pool).await.unwrap();
    let mut browser = Browser::with_role(&api, Role::Operator).await;
    let path = format!("/console/act/payment.claim_paid/{payment}");
    let asked = browser.get(&path).await;
    assert!(asked.page().contains("name=\"paymentKey\""), "{}", asked.page());
    let form = browser.get(&format!("{path}?paymentKey=tgen_1")).await;
    assert_eq!(hidden(form.page(), "paymentKey"), "tgen_1", "{}", form.page());
    assert!(!hidden(form.page(), "seen").is_empty(), "{}", form.page());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_target_is_not_found_and_a_wrong_value_is_said(pool: PgPool) {
    let (api, payment, _) = paid(pool).await;
    let mut browser = Browser::with_role(&api, Role::Admin).await;
    for path in [
        "/console/act/job.retry/9999",
        "/console/act/job.retry/x",
        "/console/act/subscription.end/sub_1",
        "/console/act/payment.refund/0192f0c1-5c00-7000-8000-00000000ffff",
    ] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
        assert_eq!(browser.post(path, &[("reason", "an honest reason")]).await.status, 404, "{path}");
    }
    let path = format!("/console/act/payment.refund/{payment}");
    for amount in ["0", "-5", "1.5", "ten"] {
        let answer = browser.post(&path, &[("amount", amount), ("reason", "an honest reason")]).await;
        assert_eq!(answer.status, 422, "{amount}");
    }
    let too_much = browser.post(&path, &[("amount", "94801"), ("reason", "an honest reason")]).await;
    assert_eq!(too_much.status, 409);
    assert_eq!((count(&api, REFUNDS).await, count(&api, ACTIONS).await), (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_admin_turns_the_switch_over_all_charges(pool: PgPool) {
    let (api, ..) = paid(pool).await;
    let path = "/console/act/charging.switch_off/charging";
    let reason = [("reason", "the bank declines everybody")];
    let mut operator = Browser::with_role(&api, Role::Operator).await;
    assert_eq!(operator.post(path, &reason).await.status, 403);
    let mut admin = Browser::with_role(&api, Role::Admin).await;
    assert!(admin.post(path, &reason).await.location().starts_with("/console/actions/"));
    assert!(admin.get("/console").await.page().contains("the bank declines everybody"));
}
