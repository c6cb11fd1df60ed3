//! The probe of a breaker whose pause is over: whatever becomes of the job that took it, the next job may ask.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::calendar::Cycle;
use common::domain::registration::RegistrationStatus;
use common::jobs;
use common::jobs::ChargeSubscription;
use common::store::gate;
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;
use worker::scheduler;

use crate::card_window::{OTHER, new_card, past_due, read};
use crate::postman::ask_for_refund;
use crate::world::World;

async fn pause_is_over(world: &World) {
    let half_open = "update gateway_breaker set failures = 10, open_until = $1";
    sqlx::query(half_open).bind(world.now()).execute(&world.pool).await.unwrap();
}

/// Until when each breaker keeps other jobs waiting: widget, billing.
async fn open_until(world: &World) -> [Option<DateTime<Utc>>; 2] {
    let status = gate::read(&mut world.pool.acquire().await.unwrap()).await.unwrap();
    [status.widget.open_until, status.billing.open_until]
}

async fn assert_free(world: &World) {
    let (until, now) = (open_until(world).await, world.now());
    assert!(until.iter().all(|until| until.is_none_or(|until| until <= now)), "{until:?}, now {now}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_probe_whose_answer_says_nothing_is_given_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    scheduler::catch_up(&world.env, &world.schedule).await.unwrap();
    worker::jobs::run_one(&world.env, "the scan").await.unwrap();
    pause_is_over(&world).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::Status409)).unwrap();
    world.run_due_jobs().await;
    assert_free(&world).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_probe_for_an_invoice_that_is_gone_is_given_back(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let job = ChargeSubscription { invoice_id: Uuid::nil(), subscription_id: Uuid::nil(), by_scan: false };
    let mut conn = world.pool.acquire().await.unwrap();
    jobs::enqueue(&mut conn, &job, world.now(), world.now()).await.unwrap();
    pause_is_over(&world).await;
    world.run_due_jobs().await;
    assert_free(&world).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_probe_of_a_card_that_waits_is_given_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    sqlx::query("update subscriptions set charging_paused_at = created_at")
        .execute(&world.pool)
        .await
        .unwrap();
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Issued);
    world.advance(TimeDelta::minutes(11));
    pause_is_over(&world).await;
    world.run_due_jobs().await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Issued);
    assert_free(&world).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_that_nothing_is_listed_closes_the_breaker(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Cancel, Effect::Error500NotApproved)).unwrap();
    ask_for_refund(&world, id, 3_000).await;
    world.run_due_jobs().await;
    world.advance(TimeDelta::days(15));
    pause_is_over(&world).await;
    world.run_due_jobs().await;
    assert_eq!(open_until(&world).await[0], None, "the look-up was answered");
}
