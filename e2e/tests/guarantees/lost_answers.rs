//! What happens when the bank charges, or does not, and its answer does not arrive.

use chrono::TimeDelta;
use common::domain::calendar::Cycle;
use sandbox::{Effect, Fault, Late, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{GOOD, World};

/// Lives into the renewal, on which this happens to the charge; ends right after it.
async fn renewal_with(world: &mut World, effect: Effect) -> Uuid {
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.sandbox.fault(Fault::next(Operation::Charge, effect)).unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    id
}

async fn minutes(world: &mut World, minutes: u32) {
    for _ in 0..minutes {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_whose_answer_is_lost_is_looked_up_and_never_made_twice(pool: PgPool) {
    let hang = Effect::HangThenApprove { ms: 2_500, answer: Late::Never };
    for (n, effect) in
        [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Garbage, hang].into_iter().enumerate()
    {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        sqlx::query("truncate users cascade").execute(&pool).await.unwrap();
        sqlx::query("truncate jobs").execute(&pool).await.unwrap();
        let id = renewal_with(&mut world, effect).await;
        assert_eq!(world.story(id).await.statuses(), ["completed", "unknown"], "fault {n}");
        minutes(&mut world, 5).await;
        assert_eq!(world.story(id).await.statuses(), ["completed", "completed"], "fault {n}");
        assert_eq!(world.charges_asked(id).await, 1, "fault {n}");
        assert_eq!(world.net(id).await, 2 * 9_900, "fault {n}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_never_arrived_is_sent_again_under_its_own_name_after_ten_minutes(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = renewal_with(&mut world, Effect::Error500NotApproved).await;
    minutes(&mut world, 8).await;
    assert_eq!(world.story(id).await.statuses(), ["completed", "unknown"]);
    assert_eq!(world.charges_asked(id).await, 1);
    minutes(&mut world, 6).await;
    let story = world.story(id).await;
    assert_eq!(story.statuses(), ["completed", "completed"]);
    assert_eq!(story.payments.len(), 2);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_whose_answer_is_lost_ends_paid_once(pool: PgPool) {
    for effect in [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Error500NotApproved] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let order = format!("ORDER_{effect:?}");
        let order: String = order.chars().filter(char::is_ascii_alphanumeric).collect();
        world.sandbox.fault(Fault::next(Operation::Confirm, effect)).unwrap();
        let id = world.order(&order, GOOD, "pro", Cycle::Monthly).await;
        world.run_due_jobs().await;
        assert_eq!(world.story(id).await.statuses(), ["unknown"]);
        minutes(&mut world, 5).await;
        assert_eq!(world.story(id).await.statuses(), ["completed"]);
        assert_eq!(world.net(id).await, 19_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_for_another_order_is_not_believed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = renewal_with(&mut world, Effect::AnswerWrongAmount).await;
    assert_eq!(world.story(id).await.statuses(), ["completed", "unknown"]);
    minutes(&mut world, 5).await;
    assert_eq!(world.story(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn as_long_as_toss_cannot_tell_a_charge_stays_unknown_and_a_person_is_called_after_a_day(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost = Fault::next(Operation::Lookup, Effect::Error500NotApproved).times(1_000_000);
    world.sandbox.fault(lost).unwrap();
    let id = renewal_with(&mut world, Effect::ApproveThenCut).await;
    world.live(3).await;
    let story = world.story(id).await;
    assert_eq!(story.statuses(), ["completed", "unknown"]);
    assert!(story.payments[1].review_since.is_some());
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 2 * 9_900);

    world.sandbox.clear_faults();
    world.live(2).await;
    assert_eq!(world.story(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}
