//! 구독 취소: 다음 결제일까지 이용, 그 뒤 결제 없음.

use chrono::TimeDelta;
use common::commands::cancel::{CancelError, CancelSubscription, cancel_subscription};
use common::domain::calendar::Cycle;
use common::domain::subscription::{CancelRefused, SubscriptionStatus, has_access};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_keeps_access_to_the_end_and_stops_every_charge(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-01").await;
    world.cancel(id).await;
    world.run_due_jobs().await;
    let email = world.emails().pop().unwrap();
    assert_eq!(email.subject, "집체크 구독 취소 완료");
    world.live_until("2026-12-21").await;
    assert!(has_access(&world.history(id).await.subscription, world.now()));
    world.live(1).await;
    assert!(!has_access(&world.history(id).await.subscription, world.now()));
    world.live(40).await;
    assert_eq!(world.charges_asked(id).await, 0);
    assert_eq!(world.subjects().len(), 2, "{:?}", world.subjects());
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_during_dunning_ends_the_retries(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-23").await;
    world.cancel(id).await;
    world.card_now(id, "pays").await;
    world.live(10).await;
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.unsettled_invoices(id).await, []);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_in_flight_at_a_cancel_is_refunded_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    assert_eq!(world.net(id).await, 2 * 9_900);

    world.cancel(id).await;
    world.live(2).await;

    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Canceled);
    assert_eq!(history.statuses(), ["completed", "refunded"]);
    assert!(world.subjects().contains(&"집체크 환불 완료".to_owned()));
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_never_arrived_is_not_sent_again_after_a_cancel(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::Error500NotApproved)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);

    world.cancel(id).await;
    // In time for what would be sent again if nobody had canceled.
    for _ in 0..12 {
        world.advance(TimeDelta::minutes(10));
        world.run_due_jobs().await;
    }
    world.live(2).await;

    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Canceled);
    assert_eq!(history.statuses(), ["completed", "failed"]);
    assert_eq!(world.unsettled_invoices(id).await, []);
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_clicks_at_once_cancel_once_and_write_one_letter(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let click = async || {
        let mut tx = world.pool.begin().await.unwrap();
        let wish =
            CancelSubscription { subscription_id: id, user_id: None, actor: "customer:test", reason: "" };
        let canceled = cancel_subscription(&mut tx, &world.env.brand, wish, world.now()).await;
        tx.commit().await.unwrap();
        canceled
    };
    let (one, other) = tokio::join!(click(), click());
    let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(refused[..], [CancelError::Refused(CancelRefused::AlreadyCanceled)]), "{refused:?}");
    world.run_due_jobs().await;
    assert_eq!(world.subjects().len(), 2, "{:?}", world.subjects());
    assert_eq!(world.net(id).await, 9_900);
}
