//! The merchant that Toss names: an answer under another name than the one on record is never taken for ours.

use chrono::TimeDelta;
use common::domain::{calendar::Cycle, registration::RegistrationStatus};
use sqlx::PgPool;
use uuid::Uuid;

use crate::card_window::{OTHER, new_card};
use crate::postman::{ask_for_refund, booked};
use crate::world::World;

/// An installation that has charged before: Toss's name of its merchant is on record.
async fn installed(pool: PgPool) -> (World, Uuid) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.install("production", "our key");
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-23").await;
    assert_eq!(world.net(id).await, 2 * 9_900);
    // A process that is started anew knows the merchant from the database alone.
    world.install("production", "our key");
    (world, id)
}

fn answers_name(world: &World, merchant: &str) {
    world.sandbox.set_switches(|switches| switches.merchant_id = merchant.to_owned());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_under_another_merchant_is_for_a_person(pool: PgPool) {
    let (mut world, id) = installed(pool).await;
    answers_name(&world, "somebodyelse");
    world.live_until("2027-01-24").await;
    let history = world.history(id).await;
    assert_eq!(history.statuses(), ["completed", "completed", "unknown"]);
    assert!(history.payments[2].review_since.is_some());
    assert_eq!(world.charges_asked(id).await, 2, "nothing else moves money meanwhile");
    assert_eq!(history.next_charge_on(), "2027-01-22".parse().unwrap());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_under_another_merchant_begins_nothing(pool: PgPool) {
    let (world, _) = installed(pool).await;
    answers_name(&world, "somebodyelse");
    let other = world.order("ORDER_2", crate::world::GOOD, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    assert_eq!(world.history(other).await.statuses(), ["unknown"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_registered_under_another_merchant_is_not_taken(pool: PgPool) {
    let (world, id) = installed(pool).await;
    answers_name(&world, "somebodyelse");
    let before = world.history(id).await.subscription.sealed_billing_key;
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Unknown);
    assert_eq!(world.history(id).await.subscription.sealed_billing_key, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn each_account_has_a_merchant_of_its_own(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.install("production", "our key");
    answers_name(&world, "thewidget");
    let id = world.subscriber(Cycle::Monthly).await;
    answers_name(&world, "thebilling");
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    ask_for_refund(&world, id, 3_000).await;
    world.run_due_jobs().await;
    world.advance(TimeDelta::minutes(1));
    assert_eq!(booked(&world).await, [(3_000, "operator:kim".to_owned(), "completed".to_owned())]);
}
