//! 구독 취소 되돌리기: until the paid period ends, nothing charged by it, the next charge on its own date.

use common::commands::resume::{ResumeError, ResumeSubscription, resume_subscription};
use common::domain::calendar::Cycle;
use common::domain::subscription::{ResumeRefused, Subscription, SubscriptionStatus, has_access};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::World;

pub(crate) async fn resume(world: &World, id: Uuid) -> Result<Subscription, ResumeRefused> {
    let mut tx = world.pool.begin().await.unwrap();
    let wish = ResumeSubscription { subscription_id: id, user_id: None, actor: "customer:test" };
    match resume_subscription(&mut tx, wish, world.now()).await {
        Ok(resumed) => {
            tx.commit().await.unwrap();
            Ok(resumed)
        }
        Err(ResumeError::Refused(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_taken_back_is_charged_once_on_its_date(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-01").await;
    world.cancel(id).await;
    world.live_until("2026-12-21").await;
    let resumed = resume(&world, id).await.unwrap();
    assert_eq!(resumed.status, SubscriptionStatus::Active);
    assert_eq!((resumed.canceled_at, resumed.cancel_reason), (None, None));
    assert_eq!(world.history(id).await.next_charge_on(), "2026-12-22".parse().unwrap());
    world.run_due_jobs().await;
    assert_eq!(world.charges_asked(id).await, 0);

    world.live(3).await;
    let history = world.history(id).await;
    assert_eq!(history.statuses(), ["completed", "completed"]);
    assert_eq!(history.next_charge_on(), "2027-01-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_resume_changes_nothing_and_a_cancel_can_follow(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    assert_eq!(resume(&world, id).await, Err(ResumeRefused::NotCanceled));
    world.cancel(id).await;
    resume(&world, id).await.unwrap();
    assert_eq!(resume(&world, id).await, Err(ResumeRefused::NotCanceled));
    world.cancel(id).await;
    world.live(40).await;
    assert_eq!(world.charges_asked(id).await, 0);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_the_paid_period_nothing_can_be_resumed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.cancel(id).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T00:00:01+09:00");
    assert_eq!(resume(&world, id).await, Err(ResumeRefused::PeriodEnded));
    assert!(!has_access(&world.history(id).await.subscription, world.now()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_canceled_in_dunning_cannot_be_resumed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-23").await;
    world.cancel(id).await;
    assert_eq!(resume(&world, id).await, Err(ResumeRefused::PeriodEnded));
    world.live(10).await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_lands_after_a_cancel_prevents_a_resume(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    world.cancel(id).await;
    assert_eq!(resume(&world, id).await, Err(ResumeRefused::PeriodEnded));
    world.live(2).await;
    assert_eq!(resume(&world, id).await, Err(ResumeRefused::PeriodEnded));
    assert_eq!(world.net(id).await, 9_900);
}
