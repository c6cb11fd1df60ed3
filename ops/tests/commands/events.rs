//! The outbox of webhooks as operators see it, and what they may ask of it.

use common::domain::subscription::{Subscription, SubscriptionStatus};
use common::store::events::{Entry, Settled};
use common::store::webhook_deliveries::EventFilter;
use common::store::{events as audit_log, payments, webhook_deliveries};
use ops::{OpsError, events};
use sqlx::{PgConnection, PgPool};

use crate::seed::{acting, active_subscription, reason, start};

/// A paid subscription with the events of its activation.
async fn activated(conn: &mut PgConnection) -> uuid::Uuid {
    let subscription = active_subscription(conn).await;
    let payment = payments::page_of_subscription(conn, subscription.id, None, 1).await.unwrap().remove(0);
    let before = Subscription { status: SubscriptionStatus::Incomplete, ..subscription };
    let entry = Entry { actor: "worker", what: "subscription.activated", why: "the period is paid" };
    let settled = Some(Settled::Payment(payment.id));
    audit_log::append_with(conn, &before, entry, settled, start()).await.unwrap();
    before.id
}

fn all_of(id: uuid::Uuid) -> EventFilter {
    EventFilter { subscription_id: Some(id), ..EventFilter::default() }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_an_endpoint_nothing_is_delivered_again(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = activated(&mut conn).await;
    let listed = events::list(&mut conn, &all_of(id), 10).await.unwrap();
    let text = listed.to_string();
    assert!(text.starts_with("events are OFF (nowhere)"), "{text}");
    assert!(text.contains("subscription.activated") && text.contains("none"), "{text}");
    let refused =
        events::replay(&mut conn, &all_of(id), &reason("the endpoint is back"), &acting("kim", start()))
            .await
            .unwrap_err();
    assert!(refused.to_string().contains("WEBHOOK_URL"), "{refused}");
    let refused =
        events::switch(&mut conn, true, &reason("please"), &acting("kim", start())).await.unwrap_err();
    assert!(matches!(refused, OpsError::Refused(_)), "{refused}");
}

#[sqlx::test(migrations = "../migrations")]
async fn undelivered_events_go_again_in_order_one_job_each(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = activated(&mut conn).await;
    webhook_deliveries::announce_endpoint(&mut conn, "https://shop.example", "f", start()).await.unwrap();
    let nothing_said = events::replay(
        &mut conn,
        &EventFilter::default(),
        &reason("the endpoint is back"),
        &acting("kim", start()),
    )
    .await
    .unwrap_err();
    assert_eq!(nothing_said.exit_code(), 2);
    let undelivered = EventFilter { state: Some("none".to_owned()), ..EventFilter::default() };
    let count = events::list(&mut conn, &all_of(id), 10).await.unwrap().events.len();
    for expected in [count, 0] {
        let done =
            events::replay(&mut conn, &undelivered, &reason("the endpoint is back"), &acting("kim", start()))
                .await
                .unwrap();
        assert_eq!(done.replayed, expected);
    }

    let listed = events::list(&mut conn, &all_of(id), 10).await.unwrap();
    assert!(listed.to_string().starts_with("events go to https://shop.example\n"), "{listed}");
    let first = listed.events.last().unwrap();
    assert_eq!(first.kind, "payment.succeeded");
    let with_job: Vec<_> =
        listed.events.iter().filter(|event| event.next_try_at.is_some()).map(|event| event.id).collect();
    assert_eq!(with_job, [first.id]);
    let shown = events::show(&mut conn, first.id).await.unwrap();
    assert_eq!(shown.jobs.len(), 1);
    assert!(shown.to_string().contains(r#"{"type":"payment.succeeded""#), "{shown}");
    let off = events::switch(&mut conn, false, &reason("a move"), &acting("kim", start())).await.unwrap();
    assert!(off.to_string().contains("events are OFF (https://shop.example)"), "{off}");
    let json = serde_json::to_value(&listed).unwrap();
    assert!(json["events"][0]["id"].as_str().unwrap().starts_with("evt_"), "{json}");
}
