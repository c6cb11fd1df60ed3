//! The registration window: a customer enters a card, and brings its one-time key back to us.

use chrono::TimeDelta;
use common::commands::register_card::{NewCard, RegisterError, register_card};
use common::commands::subscribe::{SubscribeError, Subscribing, subscribe as record_wish};
use common::domain::calendar::Cycle;
use common::domain::registration::Registration;
use common::domain::subscription::SubscriptionStatus;
use common::store::registrations;
use sandbox::CardRegistration;
use uuid::Uuid;

use crate::world::{GOOD, World};

pub(crate) const STOPPED: &str = "4300-0000-0000-0004";
/// Pays.
pub(crate) const OTHER: &str = "4330-1234-1234-1234";

pub(crate) async fn auth_key(world: &World, id: Uuid, card: &str) -> String {
    let customer_key = world.history(id).await.subscription.customer_key;
    let card_number = Some(card.to_owned());
    world.sandbox.auth_key(CardRegistration { customer_key, card_number }).unwrap()
}

pub(crate) async fn register(world: &World, id: Uuid, auth_key: &str) -> Result<Registration, RegisterError> {
    let subscription = world.history(id).await.subscription;
    let card = NewCard {
        subscription_id: id,
        user_id: subscription.user_id,
        auth_key,
        customer_key: &subscription.customer_key,
    };
    let mut tx = world.pool.begin().await.unwrap();
    let recorded = register_card(&mut tx, card, world.now()).await?;
    tx.commit().await.unwrap();
    Ok(recorded)
}

/// Registers this card and lets the jobs run.
pub(crate) async fn new_card(world: &World, id: Uuid, card: &str) -> Registration {
    let key = auth_key(world, id, card).await;
    let recorded = register(world, id, &key).await.unwrap();
    world.run_due_jobs().await;
    read(world, recorded.id).await
}

pub(crate) async fn read(world: &World, id: Uuid) -> Registration {
    let mut conn = world.pool.acquire().await.unwrap();
    registrations::find(&mut conn, id).await.unwrap().unwrap()
}

pub(crate) async fn minutes(world: &mut World, minutes: u32) {
    for _ in 0..minutes {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
}

/// Sealed keys that are still to be deleted at the gateway.
pub(crate) async fn waiting_for_deletion(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from billing_key_deletions where deleted_at is null")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

pub(crate) async fn retired(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from billing_key_deletions").fetch_one(&world.pool).await.unwrap()
}

/// A subscription whose card has no money from the first renewal on.
pub(crate) async fn past_due(world: &mut World) -> Uuid {
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.set_card(GOOD, "REJECT_CARD_PAYMENT".to_owned().into());
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::PastDue);
    id
}

/// A customer who wants to subscribe with this card to the personal plan, by the month.
pub(crate) fn wish(world: &World, name: &str, card: &str) -> Subscribing {
    let user_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let customer_key = user_id.to_string();
    let window = CardRegistration { customer_key: customer_key.clone(), card_number: Some(card.to_owned()) };
    Subscribing {
        amount: None,
        user_id,
        auth_key: world.sandbox.auth_key(window).unwrap(),
        customer_key,
        plan: "personal".to_owned(),
        cycle: Cycle::Monthly,
        customer_email: "user@example.com".to_owned(),
        customer_name: "홍길동".to_owned(),
    }
}

/// The wish is recorded. Its job has not run yet.
pub(crate) async fn subscribe(world: &World, asked: &Subscribing) -> Result<Registration, SubscribeError> {
    let mut tx = world.pool.begin().await.unwrap();
    let recorded = record_wish(&mut tx, asked, world.now()).await?;
    tx.commit().await.unwrap();
    Ok(recorded)
}

/// Subscribes, and lets the jobs run.
pub(crate) async fn subscribed(world: &World, name: &str, card: &str) -> Registration {
    let recorded = subscribe(world, &wish(world, name, card)).await.unwrap();
    world.run_due_jobs().await;
    read(world, recorded.id).await
}
