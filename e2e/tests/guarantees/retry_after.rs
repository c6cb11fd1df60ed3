//! `Retry-After` of Toss: whatever was asked, the next call of that job and everybody's next turn wait for it.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::calendar::Cycle;
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{OTHER, auth_key, register};
use crate::lost_answers::renewal_with;
use crate::postman::ask_for_refund;
use crate::world::World;

async fn begin_anew(pool: &PgPool) {
    for sql in ["truncate users, jobs cascade", "update gateway_pace set next_turn = '2000-01-01'"] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
}

/// Toss asks for eight minutes from now on, in answers to this operation.
fn asks_to_wait(world: &World, operation: Operation, effect: Effect) {
    world.sandbox.set_switches(|switches| switches.retry_after_secs = Some(480));
    world.sandbox.fault(Fault::next(operation, effect)).unwrap();
}

/// When the waiting job of this kind comes again.
async fn comes_again(world: &World, kind: &str) -> DateTime<Utc> {
    let job = "select run_at from jobs where kind = $1 and state = 'available'";
    sqlx::query_scalar(job).bind(kind).fetch_one(&world.pool).await.unwrap()
}

/// Whether every kind of call waits. Turns follow the machine's clock.
async fn assert_all_turns_wait(world: &World) {
    let free = "select count(*) from gateway_pace where next_turn < clock_timestamp() + interval '10 s'";
    assert_eq!(sqlx::query_scalar::<_, i64>(free).fetch_one(&world.pool).await.unwrap(), 0);
}

async fn assert_waits(world: &World, kind: &str) {
    let run_at = comes_again(world, kind).await;
    assert!(run_at - world.now() > TimeDelta::minutes(7), "{kind}: {run_at}, now {}", world.now());
    assert_all_turns_wait(world).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_waits_as_long_as_toss_asks(pool: PgPool) {
    for effect in [Effect::Status429, Effect::Error500NotApproved] {
        begin_anew(&pool).await;
        let world = World::on(pool.clone(), "2026-11-22").await;
        let id = world.subscriber(Cycle::Monthly).await;
        asks_to_wait(&world, Operation::Cancel, effect);
        ask_for_refund(&world, id, 3_000).await;
        world.run_due_jobs().await;
        assert_waits(&world, "refund-payment").await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_registration_waits_as_long_as_toss_asks(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    asks_to_wait(&world, Operation::Issue, Effect::Status429);
    let key = auth_key(&world, id, OTHER).await;
    register(&world, id, &key).await.unwrap();
    world.run_due_jobs().await;
    assert_waits(&world, "issue-billing-key").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_deletion_of_a_billing_key_puts_off_all_turns(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    asks_to_wait(&world, Operation::Delete, Effect::Status429);
    let key = auth_key(&world, id, OTHER).await;
    register(&world, id, &key).await.unwrap();
    world.run_due_jobs().await;
    assert_waits(&world, "delete-billing-key").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_look_up_waits_as_long_as_toss_asks(pool: PgPool) {
    for effect in [Effect::Status429, Effect::Error500NotApproved] {
        begin_anew(&pool).await;
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        renewal_with(&mut world, Effect::ApproveThenCut).await;
        asks_to_wait(&world, Operation::Lookup, effect);
        world.advance(TimeDelta::minutes(2));
        world.run_due_jobs().await;
        assert_waits(&world, "charge-subscription").await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_comparison_of_the_books_waits_as_long_as_toss_asks(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    world.set_clock("2026-11-23T02:00:01+09:00");
    asks_to_wait(&world, Operation::Transactions, Effect::Status429);
    world.settle().await;
    assert_waits(&world, "reconcile-payments").await;
}
