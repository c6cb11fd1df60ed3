//! 결제 카드 변경, while something else happens at the same moment: a second worker, a cancel, the gateway's own news.

use common::domain::{calendar::Cycle, registration::RegistrationStatus, subscription::SubscriptionStatus};
use common::jobs::{self, IssueBillingKey};
use sandbox::{Effect, Fault, Operation};
use secrecy::ExposeSecret;
use sqlx::PgPool;

use crate::card_window::{
    OTHER, auth_key, minutes, new_card, past_due, read, register, retired, waiting_for_deletion,
};
use crate::postman::{arrive, billing_key, end_of};
use crate::world::World;

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_with_one_registration_charge_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let card = register(&world, id, &auth_key(&world, id, OTHER).await).await.unwrap();
    let mut conn = world.pool.acquire().await.unwrap();
    let job = IssueBillingKey { registration_id: card.id, subscription_id: id };
    jobs::enqueue(&mut conn, &job, world.now(), world.now()).await.unwrap();
    for operation in [Operation::Issue, Operation::Charge] {
        world.sandbox.fault(Fault::next(operation, Effect::Delay { ms: 300 })).unwrap();
    }
    tokio::join!(world.run_due_jobs(), world.run_due_jobs());
    minutes(&mut world, 20).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied);
    let history = world.history(id).await;
    assert_eq!(history.statuses(), ["completed", "failed", "completed"]);
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (1, 0));
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_before_the_key_is_issued_deletes_it_uncharged(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let card = register(&world, id, &auth_key(&world, id, OTHER).await).await.unwrap();
    world.cancel(id).await;
    world.run_due_jobs().await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Dropped);
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (1, 0));
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_before_the_proving_charge_withdraws_it(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let away = Effect::Error { code: "MAINTAINED_METHOD".to_owned(), status: Some(400), message: None };
    world.sandbox.fault(Fault::next(Operation::Charge, away)).unwrap();
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Verifying);
    world.cancel(id).await;
    minutes(&mut world, 5).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Dropped);
    assert_eq!(world.history(id).await.statuses(), ["completed", "failed", "failed"]);
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (1, 0));
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_with_the_old_card_settles_before_the_new_one(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Issued);
    minutes(&mut world, 10).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied);
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn news_that_a_replaced_key_is_deleted_asks_nobody_for_a_card(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let old = billing_key(&world, id).await;
    new_card(&world, id, OTHER).await;
    let news = world.sandbox.webhooks().pop().unwrap();
    assert!(news.body.contains("BILLING_DELETED") && news.body.contains(old.expose_secret()));
    arrive(&world, &news.transmission_id, &news.body).await;
    world.run_due_jobs().await;
    assert_eq!(end_of(&world, &news.transmission_id).await.0, "ignored");
    assert_eq!(world.subjects(), ["집체크 구독 결제 완료"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_still_charges_another_subscription_is_not_deleted(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let neighbour = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    let customer = world.history(id).await.subscription.customer_key;
    let shared = world.env.sealer.seal(&billing_key(&world, id).await, neighbour).unwrap();
    sqlx::query("update subscriptions set billing_key = $2, customer_key = $3 where id = $1")
        .bind(neighbour)
        .bind(shared)
        .bind(customer)
        .execute(&world.pool)
        .await
        .unwrap();
    new_card(&world, id, OTHER).await;
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (1, 0));
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(neighbour).await.statuses(), ["completed", "completed"]);
    // Both renewals and the first payment of the one; the other paid its first under its own name.
    assert_eq!(world.net(id).await, 3 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_key_is_told_as_lost_though_a_repeat_was_turned_away(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    for effect in [Effect::Error500Approved, Effect::Status429] {
        world.sandbox.fault(Fault::next(Operation::Issue, effect)).unwrap();
    }
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Unknown);
    minutes(&mut world, 5).await;
    let card = read(&world, card.id).await;
    assert_eq!(
        (card.status, card.toss_code.as_deref()),
        (RegistrationStatus::Refused, Some("REGISTRATION_LOST"))
    );
    assert!(world.subjects().contains(&"집체크 결제 카드 등록 안내".to_owned()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_died_with_its_worker_is_told_as_lost(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let card = register(&world, id, "bln_used_by_the_request_that_nobody_heard_of").await.unwrap();
    // As a worker leaves it that dies during the call.
    sqlx::query("update card_registrations set sent_at = $1, first_sent_at = $1")
        .bind(world.now())
        .execute(&world.pool)
        .await
        .unwrap();
    world.run_due_jobs().await;
    assert_eq!(read(&world, card.id).await.toss_code.as_deref(), Some("REGISTRATION_LOST"));
    assert!(world.subjects().contains(&"집체크 결제 카드 등록 안내".to_owned()));
    assert_eq!(world.net(id).await, 9_900);
}
