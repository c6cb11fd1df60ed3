//! The story of a subscription: everything on one screen, except its billing key.

use common::{
    commands::register_card::{NewCard, register_card},
    id::subscription_ref,
    mail::Rendered,
    outbox::{self, Fact},
};
use ops::{OpsError, charging, subscription};
use sqlx::PgPool;
use uuid::Uuid;

use crate::seed::{active_subscription, start};

#[sqlx::test(migrations = "../migrations")]
async fn the_story_tells_everything_but_the_billing_key(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    charging::pause(&mut conn, id, "dispute", "operator:kim", start()).await.unwrap();
    let story = subscription::show(&mut conn, id, start()).await.unwrap();

    assert_eq!(story.subscription.id, subscription_ref(id));
    assert_eq!(story.subscription.billing_key.as_deref(), Some("sealed, key id k1"));
    assert_eq!(story.invoices[0].status, "paid");
    assert_eq!(story.payments[0].toss_trace_id.as_deref(), Some("trace-1"));
    assert_eq!(story.jobs[0].kind, "confirm-payment");
    assert_eq!(story.events[0].what, "charging.paused");

    let json = serde_json::to_string(&story).unwrap();
    for secret in ["c2VhbGVk", "webhook-secret", "customer-key-of-a-customer"] {
        assert!(!json.contains(secret) && !story.to_string().contains(secret), "{secret}");
    }
    for told in
        ["trace-1", "43001234****0001", "confirm-payment", "PAUSED", "operator:kim", "REFUNDS\nnone\n"]
    {
        assert!(story.to_string().contains(told), "{told}\n{story}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn its_e_mails_are_part_of_the_story(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let to = active_subscription(&mut conn).await;
    let rendered = Rendered {
        subject: "영수증".into(),
        html: "<p>".into(),
        text: "본문".into(),
        domain: "zip.example".into(),
    };
    let fact = Fact { kind: "payment_succeeded", period_no: 0, step: "1" };
    assert!(outbox::post(&mut conn, &to, fact, &rendered, None, start()).await.unwrap());
    let story = subscription::show(&mut conn, to.id, start()).await.unwrap();
    assert_eq!(
        (story.emails[0].kind.as_str(), story.emails[0].status.as_str()),
        ("payment_succeeded", "queued")
    );
    assert_eq!(story.jobs.len(), 2, "the e-mail's job, too");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_cards_that_were_registered_are_part_of_the_story_and_their_keys_are_not(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let it = active_subscription(&mut conn).await;
    let (subscription_id, user_id) = (it.id, it.user_id);
    let card = NewCard { subscription_id, user_id, auth_key: "bln_secret", customer_key: &it.customer_key };
    register_card(&mut conn, card, start()).await.unwrap();
    sqlx::query("update card_registrations set toss_message = 'timeout'").execute(&mut *conn).await.unwrap();
    let story = subscription::show(&mut conn, it.id, start()).await.unwrap();
    assert_eq!(story.cards[0].status, "pending");
    let json = serde_json::to_string(&story).unwrap();
    assert!(json.contains("timeout") && story.to_string().contains("timeout"), "{story}");
    assert!(!json.contains("bln_secret") && !story.to_string().contains("bln_secret"), "{story}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_that_is_not_there_has_no_story(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let missing = subscription::show(&mut conn, Uuid::nil(), start()).await.unwrap_err();
    assert!(matches!(missing, OpsError::NotFound(_)), "{missing}");
}
