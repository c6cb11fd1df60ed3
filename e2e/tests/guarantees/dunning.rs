//! 자동결제 실패 처리: D, D+3, D+6 → 일시정지.

use common::domain::{calendar::Cycle, subscription::SubscriptionStatus};
use sandbox::Fault;
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../migrations")]
async fn three_declines_on_three_dates_suspend(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;

    world.live_until("2026-12-22").await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.next_charge_on()),
        (SubscriptionStatus::PastDue, "2026-12-25".parse().unwrap())
    );
    let failure = world.emails().pop().unwrap();
    assert_eq!(failure.subject, "집체크 구독 결제 실패");
    assert!(failure.text.contains("2026년 12월 25일"), "{}", failure.text);

    world.live_until("2026-12-24").await;
    assert_eq!(world.charges_asked(id).await, 1);
    world.live(1).await;
    assert_eq!(world.charges_asked(id).await, 2);
    assert!(world.emails().pop().unwrap().text.contains("2026년 12월 28일"));
    world.live_until("2026-12-28").await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Suspended);
    assert_eq!(history.statuses(), ["completed", "failed", "failed", "failed"]);
    let suspension = world.emails().pop().unwrap();
    assert_eq!(suspension.subject, "집체크 구독 일시정지");
    assert!(suspension.text.contains("결제가 3회 실패하여"), "{}", suspension.text);

    world.live(40).await;
    let failures = world.subjects().into_iter().filter(|subject| subject == "집체크 구독 결제 실패").count();
    assert_eq!((failures, world.charges_asked(id).await), (2, 3));
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn recovery_on_the_second_try_keeps_the_anchor(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-22").await;
    world.card_now(id, "pays").await;
    world.live_until("2026-12-25").await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.next_charge_on(), "2027-01-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stopped_card_is_asked_once_and_suspended_on_the_third_date(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "INVALID_STOPPED_CARD").await;
    world.live_until("2026-12-27").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::PastDue);
    world.live(1).await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Suspended);
    assert_eq!(world.charges_asked(id).await, 1);
    let suspension = world.emails().pop().unwrap();
    assert!(suspension.text.contains("등록된 카드로 결제할 수 없어"), "{}", suspension.text);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_toss_is_away_nobody_is_declined_or_written_to(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let maintenance =
        sandbox::Effect::Error { code: "MAINTAINED_METHOD".to_owned(), status: Some(400), message: None };
    let fault = Fault::next(sandbox::Operation::Charge, maintenance).times(1_000_000);
    let number = world.sandbox.fault(fault).unwrap();
    world.live_until("2027-01-02").await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.statuses(), ["completed", "pending"]);
    assert!(!world.subjects().contains(&"집체크 구독 결제 실패".to_owned()));

    assert!(world.sandbox.remove_fault(number));
    world.live(1).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}
