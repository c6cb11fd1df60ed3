//! The history of a subscription: everything on one screen, except its billing key.

use common::commands::register_card::{NewCard, register_card};
use common::email::RenderedEmail;
use common::id::subscription_ref;
use common::outbox;
use common::outbox::Fact;
use ops::{OpsError, subscription, subscription_history};
use sqlx::PgPool;
use uuid::Uuid;

use crate::seed::{acting, active_subscription, reason, start};

#[sqlx::test(migrations = "../migrations")]
async fn the_history_tells_everything_but_the_billing_key(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    subscription::pause(&mut conn, id, &reason("dispute"), &acting("kim", start())).await.unwrap();
    let history = subscription_history::show(&mut conn, id, start()).await.unwrap();

    assert_eq!(history.subscription.id, subscription_ref(id));
    assert_eq!(history.subscription.billing_key.as_deref(), Some("sealed, key id k1"));
    assert_eq!(history.invoices[0].status, "paid");
    assert_eq!(history.payments[0].toss_trace_id.as_deref(), Some("trace-1"));
    assert_eq!(history.jobs[0].kind, "confirm-payment");
    assert_eq!(history.events[0].what, "charging.paused");

    let json = serde_json::to_string(&history).unwrap();
    for secret in ["c2VhbGVk", "webhook-secret", "customer-key-of-a-customer"] {
        assert!(!json.contains(secret) && !history.to_string().contains(secret), "{secret}");
    }
    for told in
        ["trace-1", "43001234****0001", "confirm-payment", "PAUSED", "operator:kim", "REFUNDS\nnone\n"]
    {
        assert!(history.to_string().contains(told), "{told}\n{history}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn its_e_mails_are_part_of_the_history(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let to = active_subscription(&mut conn).await;
    let rendered = RenderedEmail {
        subject: "영수증".into(),
        html: "<p>".into(),
        text: "본문".into(),
        domain: "zip.example".into(),
    };
    let fact = Fact { kind: "payment_succeeded", period_no: 0, step: "1" };
    assert!(outbox::post(&mut conn, &to, fact, &rendered, None, start()).await.unwrap());
    let history = subscription_history::show(&mut conn, to.id, start()).await.unwrap();
    assert_eq!(
        (history.emails[0].kind.as_str(), history.emails[0].status.as_str()),
        ("payment_succeeded", "queued")
    );
    assert_eq!(history.jobs.len(), 2, "the e-mail's job, too");
}

#[sqlx::test(migrations = "../migrations")]
async fn registered_cards_are_listed_without_their_keys(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let (subscription_id, user_id) = (subscription.id, subscription.user_id);
    let card = NewCard {
        subscription_id,
        user_id,
        auth_key: "bln_secret",
        customer_key: &subscription.customer_key,
    };
    register_card(&mut conn, card, start()).await.unwrap();
    sqlx::query("update card_registrations set toss_message = 'timeout'").execute(&mut *conn).await.unwrap();
    let history = subscription_history::show(&mut conn, subscription.id, start()).await.unwrap();
    assert_eq!(history.cards[0].status, "pending");
    let json = serde_json::to_string(&history).unwrap();
    assert!(json.contains("timeout") && history.to_string().contains("timeout"), "{history}");
    assert!(!json.contains("bln_secret") && !history.to_string().contains("bln_secret"), "{history}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_that_is_not_there_has_no_history(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let missing = subscription_history::show(&mut conn, Uuid::nil(), start()).await.unwrap_err();
    assert!(matches!(missing, OpsError::NotFound(_)), "{missing}");
}
