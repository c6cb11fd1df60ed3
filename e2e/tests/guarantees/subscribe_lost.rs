//! 카드 등록 후 구독 시작, with answers that never come: each is found, or has a defined end, and the money is taken once.

use common::domain::{registration::RegistrationStatus, subscription::SubscriptionStatus};
use common::jobs::{self, IssueBillingKey};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{OTHER, minutes, new_card, read, subscribe, subscribed, waiting_for_deletion, wish};
use crate::world::{GOOD, World};

const FAILED: &str = "집체크 첫 결제 실패 안내";

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_registration_is_recovered_or_repaired(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost = [
        (Effect::ApproveThenCut, RegistrationStatus::Applied),
        (Effect::Garbage, RegistrationStatus::Applied),
        (Effect::Error500NotApproved, RegistrationStatus::Applied),
        (Effect::Error500Approved, RegistrationStatus::Refused),
    ];
    for (n, (effect, end)) in lost.into_iter().enumerate() {
        world.sandbox.fault(Fault::next(Operation::Issue, effect)).unwrap();
        let card = subscribed(&world, &format!("customer {n}"), GOOD).await;
        let id = card.subscription_id;
        assert_eq!(card.status, RegistrationStatus::Unknown, "fault {n}");
        assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete, "fault {n}");
        minutes(&mut world, 3).await;
        let card = read(&world, card.id).await;
        assert_eq!(card.status, end, "fault {n}: {card:?}");
        if end == RegistrationStatus::Refused {
            assert_eq!(card.toss_code.as_deref(), Some("REGISTRATION_LOST"));
            let email = world.emails().pop().unwrap();
            assert_eq!(email.subject, FAILED);
            assert!(email.text.contains("카드를 다시 등록해 주세요"), "{}", email.text);
            new_card(&world, id, OTHER).await;
        }
        assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active, "fault {n}");
        assert_eq!(world.net(id).await, 9_900, "fault {n}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_first_charge_is_looked_up_and_taken_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost =
        [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Error500NotApproved, Effect::Garbage];
    for (n, effect) in lost.into_iter().enumerate() {
        world.sandbox.fault(Fault::next(Operation::Charge, effect)).unwrap();
        let card = subscribed(&world, &format!("customer {n}"), GOOD).await;
        assert_eq!(card.status, RegistrationStatus::Verifying, "fault {n}");
        assert_eq!(world.history(card.subscription_id).await.statuses(), ["unknown"], "fault {n}");
        minutes(&mut world, 15).await;
        assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied, "fault {n}");
        let history = world.history(card.subscription_id).await;
        assert_eq!((history.status(), history.payments.len()), (SubscriptionStatus::Active, 1), "fault {n}");
        assert_eq!(world.net(card.subscription_id).await, 9_900, "fault {n}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_first_charge_begins_when_it_is_found(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    let silent = Fault::next(Operation::Lookup, Effect::Error500NotApproved).times(1_000_000);
    let number = world.sandbox.fault(silent).unwrap();
    let card = subscribed(&world, "customer", GOOD).await;
    let id = card.subscription_id;
    world.set_clock("2026-11-23T09:30:00+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete);
    world.set_clock("2026-11-23T11:45:00+09:00");
    world.settle().await;
    assert!(world.history(id).await.payments[0].review_since.is_some());
    assert!(world.sandbox.remove_fault(number));
    world.live(2).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Active, vec!["completed".to_owned()])
    );
    // Captured on the 22nd, whenever the answer came.
    assert_eq!(history.subscription.anchor_on, "2026-11-22".parse().unwrap());
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_with_one_new_subscription_take_its_money_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let card = subscribe(&world, &wish(&world, "customer", GOOD)).await.unwrap();
    let job = IssueBillingKey { registration_id: card.id, subscription_id: card.subscription_id };
    jobs::enqueue(&mut world.pool.acquire().await.unwrap(), &job, world.now(), world.now()).await.unwrap();
    for operation in [Operation::Issue, Operation::Charge] {
        world.sandbox.fault(Fault::next(operation, Effect::Delay { ms: 300 })).unwrap();
    }
    tokio::join!(world.run_due_jobs(), world.run_due_jobs());
    minutes(&mut world, 20).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied);
    assert_eq!(world.history(card.subscription_id).await.statuses(), ["completed"]);
    assert_eq!(waiting_for_deletion(&world).await, 0);
    assert_eq!(world.net(card.subscription_id).await, 9_900);
}
