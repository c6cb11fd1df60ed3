//! A charge that Toss never got: sent again while that is safe, and in an operator's hands when it no longer is.

use chrono::TimeDelta;
use common::domain::calendar::Cycle;
use common::domain::invoice::InvoiceStatus;
use common::domain::subscription::SubscriptionStatus;
use common::store::settings;
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{GOOD, World, reason};

const OPERATOR: &str = "operator:kim@example.com";

/// Toss takes nothing and answers nothing of use for so long, from the moment at which something is asked on.
async fn toss_is_away(world: &mut World, operation: Operation, hours: u32) {
    let lost = |operation| Fault::next(operation, Effect::Error500NotApproved).times(1_000_000);
    for operation in [operation, Operation::Lookup] {
        world.sandbox.fault(lost(operation)).unwrap();
    }
    hours_pass(world, hours).await;
    world.sandbox.clear_faults();
}

async fn hours_pass(world: &mut World, hours: u32) {
    for _ in 0..hours * 2 {
        world.settle().await;
        world.advance(TimeDelta::minutes(30));
    }
}

/// On the day of the renewal.
async fn due(pool: PgPool) -> (World, Uuid) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    (world, id)
}

async fn waits_for_an_operator(world: &World, id: Uuid) -> Option<Uuid> {
    let held = world.unsettled_invoices(id).await.into_iter().find(|invoice| invoice.held_since.is_some())?;
    assert_eq!(held.status, InvoiceStatus::Open);
    Some(held.id)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_order_after_a_day_is_an_operators_to_charge(pool: PgPool) {
    let (mut world, id) = due(pool).await;
    toss_is_away(&mut world, Operation::Charge, 26).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    hours_pass(&mut world, 30).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Active, vec!["completed".to_owned(), "failed".to_owned()])
    );
    assert!(history.payments[1].decline_kind.is_none(), "it counts toward nothing");
    let invoice = waits_for_an_operator(&world, id).await.expect("it is held");
    world.live(2).await;
    assert_eq!(world.charges_asked(id).await, 1);
    let mut conn = world.pool.acquire().await.unwrap();
    ops::invoices::charge(&mut conn, invoice, &reason("charge it"), &world.acting("kim")).await.unwrap();
    world.live(2).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "failed", "completed"]);
    assert_eq!(world.history(id).await.next_charge_on(), "2027-01-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forgiven_running_period_runs_and_the_next_is_charged(pool: PgPool) {
    let (mut world, id) = due(pool).await;
    toss_is_away(&mut world, Operation::Charge, 26).await;
    hours_pass(&mut world, 30).await;
    let invoice = waits_for_an_operator(&world, id).await.expect("it is held");
    let mut conn = world.pool.acquire().await.unwrap();
    ops::invoices::forgive(&mut conn, invoice, &reason("our outage"), &world.acting("kim")).await.unwrap();
    assert_eq!(world.history(id).await.next_charge_on(), "2027-01-22".parse().unwrap());
    world.live_until("2027-01-23").await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_period_on_hold_does_not_keep_the_next_from_being_charged(pool: PgPool) {
    let (mut world, id) = due(pool).await;
    toss_is_away(&mut world, Operation::Charge, 26).await;
    hours_pass(&mut world, 30).await;
    assert!(waits_for_an_operator(&world, id).await.is_some());
    world.live_until("2027-01-23").await;
    assert_eq!(world.history(id).await.next_charge_on(), "2027-02-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_period_forgiven_after_its_end_does_not_end_the_charges(pool: PgPool) {
    let (mut world, id) = due(pool).await;
    toss_is_away(&mut world, Operation::Charge, 26).await;
    hours_pass(&mut world, 30).await;
    let invoice = waits_for_an_operator(&world, id).await.expect("it is held");
    world.set_clock("2027-01-22T01:00:00+09:00");
    let mut conn = world.pool.acquire().await.unwrap();
    ops::invoices::forgive(&mut conn, invoice, &reason("our outage"), &world.acting("kim")).await.unwrap();
    world.live_until("2027-01-24").await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_unknown_after_a_day_never_begins(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    toss_is_away(&mut world, Operation::Confirm, 26).await;
    assert_eq!(world.history(id).await.statuses(), ["unknown"]);
    hours_pass(&mut world, 30).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Canceled, vec!["failed".to_owned()])
    );
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_charging_is_stopped_nothing_is_charged_or_resent(pool: PgPool) {
    let (mut world, lost) = due(pool).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::Error500NotApproved)).unwrap();
    world.settle().await;
    assert_eq!(world.charges_asked(lost).await, 1);
    let other = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    let mut conn = world.pool.acquire().await.unwrap();
    settings::switch_charging(&mut conn, false, OPERATOR, "wrong prices", world.now()).await.unwrap();
    hours_pass(&mut world, 3).await;
    assert_eq!(world.charges_asked(lost).await, 1);
    settings::switch_charging(&mut conn, true, OPERATOR, "mended", world.now()).await.unwrap();
    hours_pass(&mut world, 3).await;
    assert_eq!(world.net(lost).await, 2 * 9_900);
    settings::switch_charging(&mut conn, false, OPERATOR, "wrong again", world.now()).await.unwrap();
    world.live_until("2027-01-24").await;
    assert_eq!((world.net(lost).await, world.net(other).await), (2 * 9_900, 9_900));
    settings::switch_charging(&mut conn, true, OPERATOR, "mended", world.now()).await.unwrap();
    world.live(2).await;
    assert_eq!((world.net(lost).await, world.net(other).await), (3 * 9_900, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paused_subscription_is_not_charged_and_its_neighbour_is(pool: PgPool) {
    let (mut world, paused) = due(pool).await;
    let mut conn = world.pool.acquire().await.unwrap();
    ops::subscription::pause(&mut conn, paused, &reason("asked us to wait"), &world.acting("kim"))
        .await
        .unwrap();
    world.sandbox.clear_faults();
    let other = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    world.live_until("2027-01-23").await;
    assert_eq!((world.charges_asked(paused).await, world.net(other).await), (0, 2 * 9_900));
    ops::subscription::resume(&mut conn, paused, &reason("goes on"), &world.acting("kim")).await.unwrap();
    world.live(2).await;
    assert_eq!(world.charges_asked(paused).await, 1);
    assert_eq!(world.net(paused).await, 2 * 9_900);
}
