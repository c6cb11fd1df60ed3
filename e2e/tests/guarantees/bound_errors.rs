//! Toss binds a 5xx to the idempotency key, and repeats it for 15 days: nothing waits that long.

use chrono::TimeDelta;
use common::domain::{calendar::Cycle, registration::RegistrationStatus, subscription::SubscriptionStatus};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{OTHER, auth_key, new_card, read, register};
use crate::lost_answers::renewal_with;
use crate::postman::{ask_for_refund, booked};
use crate::world::{GOOD, World};

async fn minutes_pass(world: &mut World, minutes: i64) {
    for _ in 0..minutes {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
}

async fn binding(pool: PgPool) -> World {
    let world = World::on(pool, "2026-11-22").await;
    world.sandbox.set_switches(|switches| switches.bind_server_errors = true);
    world
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_was_answered_5xx_is_made_under_a_fresh_key(pool: PgPool) {
    let mut world = binding(pool).await;
    let id = renewal_with(&mut world, Effect::Error500NotApproved).await;
    minutes_pass(&mut world, 45).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_went_through_with_5xx_is_made_once(pool: PgPool) {
    let mut world = binding(pool).await;
    let id = renewal_with(&mut world, Effect::Error500Approved).await;
    minutes_pass(&mut world, 45).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_is_confirmed_while_its_buyer_is_there(pool: PgPool) {
    let mut world = binding(pool).await;
    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::Error500NotApproved)).unwrap();
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    minutes_pass(&mut world, 8).await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_that_met_a_5xx_is_registered_all_the_same(pool: PgPool) {
    let mut world = binding(pool).await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Issue, Effect::Error500NotApproved)).unwrap();
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Unknown);
    minutes_pass(&mut world, 10).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_that_meets_only_5xx_keeps_no_other_card_away(pool: PgPool) {
    let mut world = binding(pool).await;
    let id = world.subscriber(Cycle::Monthly).await;
    let always = Fault::next(Operation::Issue, Effect::Error500NotApproved).times(1_000_000);
    world.sandbox.fault(always).unwrap();
    let first = new_card(&world, id, OTHER).await;
    minutes_pass(&mut world, 90).await;
    assert_eq!(read(&world, first.id).await.status, RegistrationStatus::Refused);
    world.sandbox.clear_faults();
    let key = auth_key(&world, id, OTHER).await;
    let second = register(&world, id, &key).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(read(&world, second.id).await.status, RegistrationStatus::Applied);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_toss_cannot_make_fails_and_the_next_is_possible(pool: PgPool) {
    for bind in [true, false] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        world.sandbox.set_switches(|switches| switches.bind_server_errors = bind);
        let id = world.subscriber(Cycle::Monthly).await;
        let failed =
            Effect::Error { code: "FAILED_PARTIAL_REFUND".to_owned(), status: Some(500), message: None };
        world.sandbox.fault(Fault::next(Operation::Cancel, failed).times(1_000_000)).unwrap();
        ask_for_refund(&world, id, 3_000).await;
        world.run_due_jobs().await;
        minutes_pass(&mut world, 15).await;
        assert_eq!(booked(&world).await, [(3_000, "operator:kim".to_owned(), "failed".to_owned())]);
        let code: Option<String> =
            sqlx::query_scalar("select toss_code from refunds").fetch_one(&pool).await.unwrap();
        assert_eq!(code.as_deref(), Some("FAILED_PARTIAL_REFUND"));

        world.sandbox.clear_faults();
        sqlx::query("update refunds set request_key = 'asked before'").execute(&pool).await.unwrap();
        ask_for_refund(&world, id, 3_000).await;
        world.run_due_jobs().await;
        assert_eq!(world.net(id).await, 6_900, "bound: {bind}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_whose_5xx_took_effect_is_made_once(pool: PgPool) {
    let mut world = binding(pool).await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Cancel, Effect::Error500Approved)).unwrap();
    ask_for_refund(&world, id, 3_000).await;
    world.run_due_jobs().await;
    minutes_pass(&mut world, 15).await;
    assert_eq!(booked(&world).await, [(3_000, "operator:kim".to_owned(), "completed".to_owned())]);
    assert_eq!(world.net(id).await, 6_900);
}
