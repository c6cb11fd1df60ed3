//! A change of plan that meets a charge in flight, dunning, a suspension, a cancel, an outage or the daily run itself.

use common::domain::{calendar::Cycle, plan_change::ChangeRefused, subscription::SubscriptionStatus};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{OTHER, new_card};
use crate::plan_changes::{ENDED, pro};
use crate::requests::{change, consent, count, ends, pending, say_yes};
use crate::world::{GOOD, World};

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_under_way_keeps_its_price_and_the_next_changes(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::PastDue);
    let asked = change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    assert_eq!(asked.effective_on, "2027-01-22".parse().unwrap());
    world.card_now(id, "pays").await;
    world.live_until("2026-12-26").await;
    assert_eq!(world.net(id).await, 2 * 9_900);
    consent(&world, id).await.unwrap();
    world.live_until("2027-01-22").await;
    assert_eq!(world.net(id).await, 2 * 9_900 + 19_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_during_an_unknown_charge_leaves_it_alone(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    let asked = change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    assert_eq!(asked.effective_on, "2027-01-22".parse().unwrap());
    world.live(2).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    consent(&world, id).await.unwrap();
    world.live_until("2027-01-23").await;
    assert_eq!(world.charges_asked(id).await, 2);
    assert_eq!(world.net(id).await, 2 * 9_900 + 19_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn on_the_day_of_a_renewal_a_change_comes_with_the_next_one(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = pro(&world).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T01:59:59+09:00");
    let asked = change(&world, id, "personal", Cycle::Monthly).await.unwrap();
    assert_eq!(asked.effective_on, "2027-01-22".parse().unwrap());
    world.live_until("2027-01-22").await;
    assert_eq!(world.net(id).await, 19_900 + 19_900 + 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_running_cannot_be_changed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (suspended, canceled) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    let unpaid = world.order("ORDER_3", GOOD, "personal", Cycle::Monthly).await;
    assert_eq!(change(&world, unpaid, "pro", Cycle::Monthly).await, Err(ChangeRefused::NotBegun));
    world.cancel(canceled).await;
    assert_eq!(change(&world, canceled, "pro", Cycle::Monthly).await, Err(ChangeRefused::Canceled));
    world.card_now(suspended, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-29").await;
    assert_eq!(change(&world, suspended, "pro", Cycle::Monthly).await, Err(ChangeRefused::Suspended));
    assert_eq!(world.net(suspended).await + world.net(canceled).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_leaves_the_change_to_come_back_with_it_or_to_lapse(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (back, gone) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    world.live_until("2026-12-01").await;
    for id in [back, gone] {
        change(&world, id, "pro", Cycle::Monthly).await.unwrap();
        world.cancel(id).await;
    }
    world.live_until("2026-12-10").await;
    world.resume(back).await;
    consent(&world, back).await.unwrap();
    world.live_until("2026-12-23").await;
    assert_eq!(
        (ends(&world, back).await, ends(&world, gone).await),
        (vec!["applied".into()], vec!["lapsed".into()])
    );
    assert_eq!((world.net(back).await, world.net(gone).await), (9_900 + 19_900, 9_900));
    assert_eq!(count(&world, ENDED), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_an_outage_each_period_has_its_own_price(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = pro(&world).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T01:00:00+09:00");
    change(&world, id, "personal", Cycle::Monthly).await.unwrap();
    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    world.live(3).await;
    let held = world.unsettled_invoices(id).await;
    assert_eq!(
        held.iter().map(|invoice| (invoice.period.no, invoice.amount.get())).collect::<Vec<_>>(),
        [(1, 19_900)]
    );
    assert!(held[0].held_since.is_some());
    assert_eq!(world.history(id).await.next_charge_on(), "2027-02-22".parse().unwrap());
    assert_eq!(world.net(id).await, 19_900 + 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_outlived_by_an_outage_is_followed_by_new_terms(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (agreed, silent) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    for id in [agreed, silent] {
        world.card_now(id, "REJECT_CARD_PAYMENT").await;
    }
    world.live_until("2026-12-23").await;
    for id in [agreed, silent] {
        change(&world, id, "pro", Cycle::Monthly).await.unwrap();
        world.card_now(id, "pays").await;
    }
    consent(&world, agreed).await.unwrap();
    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    world.live(3).await;
    assert_eq!(world.net(agreed).await, 9_900 + 19_900);
    assert_eq!(world.history(silent).await.status(), SubscriptionStatus::Canceled);
    assert_eq!((world.net(silent).await, count(&world, ENDED)), (9_900, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_consent_written_while_the_daily_run_looks_counts(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-01").await;
    let asked = change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-21T23:59:59+09:00");
    let mut tx = world.pool.begin().await.unwrap();
    say_yes(&world, &mut tx, id, 19_900, asked.effective_on).await.unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert!(pending(&world, id).await.is_some(), "the daily run leaves a row that somebody else holds");
    tx.commit().await.unwrap();
    world.set_clock("2026-12-22T02:06:00+09:00");
    world.settle().await;
    assert_eq!(ends(&world, id).await, ["applied"]);
    assert!(pending(&world, id).await.is_none());
    assert_eq!(world.net(id).await, 9_900 + 19_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_one_returns_at_the_new_price_by_consent_only(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (agreed, silent) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    world.sandbox.set_card(GOOD, "REJECT_CARD_PAYMENT".to_owned().into());
    world.live_until("2026-12-23").await;
    for id in [agreed, silent] {
        change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    }
    consent(&world, agreed).await.unwrap();
    world.live_until("2027-01-25").await;
    for id in [agreed, silent] {
        assert_eq!(world.history(id).await.status(), SubscriptionStatus::Suspended);
        new_card(&world, id, OTHER).await;
    }
    world.live(3).await;
    assert_eq!(world.history(agreed).await.next_charge_on(), "2027-02-22".parse().unwrap());
    assert_eq!(world.history(silent).await.status(), SubscriptionStatus::Canceled);
    assert_eq!((world.net(agreed).await, world.net(silent).await), (9_900 + 19_900, 9_900));
}
