//! Nothing ran for days: what is due is charged late, once, and what is stale is not sent.

use chrono::TimeDelta;
use common::domain::{calendar::Cycle, subscription::SubscriptionStatus};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::world::{GOOD, World, reason};

#[sqlx::test(migrations = "../migrations")]
async fn after_forty_days_of_downtime_a_subscription_is_charged_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-20").await;
    let told = world.emails().len();

    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    world.live(10).await;

    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.next_charge_on(), "2027-02-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
    let held = world.unsettled_invoices(id).await;
    assert_eq!(held.len(), 1);
    assert!(held[0].held_since.is_some());
    assert_eq!(world.subjects()[told..], ["집체크 구독 결제 완료"]);
}

/// Maintenance, or a request that Toss cannot take as it is: the attempts of both periods wait, unsent.
#[sqlx::test(migrations = "../migrations")]
async fn after_a_period_without_toss_only_the_running_one_is_charged(pool: PgPool) {
    for code in ["MAINTAINED_METHOD", "NOT_MATCHES_CUSTOMER_KEY"] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let id = world.subscriber(Cycle::Monthly).await;
        world.live_until("2026-12-21").await;
        let refused = Effect::Error { code: code.to_owned(), status: Some(400), message: None };
        let away = world.sandbox.fault(Fault::next(Operation::Charge, refused).times(1_000_000)).unwrap();
        world.live_until("2027-02-23").await;
        assert_eq!(world.net(id).await, 9_900, "{code}");
        assert!(world.sandbox.remove_fault(away));
        world.live(2).await;

        let history = world.history(id).await;
        assert_eq!(history.status(), SubscriptionStatus::Active, "{code}");
        assert_eq!(history.statuses(), ["completed", "failed", "failed", "completed"], "{code}");
        assert_eq!(history.next_charge_on(), "2027-03-22".parse().unwrap(), "{code}");
        let held = world.unsettled_invoices(id).await;
        assert_eq!(held.iter().filter(|invoice| invoice.held_since.is_some()).count(), 2, "{code}");
        assert_eq!(world.net(id).await, 2 * 9_900, "{code}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn dunning_outlived_by_an_outage_charges_the_running_period(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-23").await;
    world.card_now(id, "pays").await;

    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    world.live(5).await;

    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.next_charge_on(), "2027-02-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn with_any_job_rows_lost_everybody_is_charged_and_told(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    for hours in [0].into_iter().chain([12; 35 * 2]) {
        sqlx::query("delete from jobs where state <> 'running'").execute(&world.pool).await.unwrap();
        // Longer than a row may lie unfinished before the sweep takes it up.
        world.advance(TimeDelta::hours(hours) + TimeDelta::minutes(3));
        world.settle().await;
    }
    assert_eq!(world.net(id).await, 2 * 9_900);
    let paid = world.subjects().into_iter().filter(|subject| subject == "집체크 구독 결제 완료").count();
    assert_eq!(paid, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_older_period_paid_late_moves_no_date_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2027-01-29T10:00:00+09:00");
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.settle().await;
    let before = world.history(id).await;
    assert_eq!(before.status(), SubscriptionStatus::PastDue);
    let held =
        world.unsettled_invoices(id).await.into_iter().find(|invoice| invoice.held_since.is_some()).unwrap();
    world.card_now(id, "pays").await;
    let mut conn = world.pool.acquire().await.unwrap();
    ops::invoices::charge(&mut conn, held.id, &reason("charge it"), &world.acting("kim@example.com"))
        .await
        .unwrap();
    world.settle().await;
    let after = world.history(id).await;
    assert_eq!(
        (after.status(), after.next_charge_on()),
        (SubscriptionStatus::PastDue, before.next_charge_on())
    );
    assert_eq!(world.net(id).await, 2 * 9_900);
    world.live(4).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.next_charge_on()),
        (SubscriptionStatus::Active, "2027-02-22".parse().unwrap())
    );
    assert_eq!(world.net(id).await, 3 * 9_900);
}
