//! The daily runs: one row that is locked, or that raises, stops only itself.

use chrono::TimeDelta;
use common::domain::calendar::Cycle;
use common::store::settings;
use sqlx::PgPool;
use uuid::Uuid;

use crate::prices::{new_price, only_announce, withdraw};
use crate::world::{World, reason};

async fn subscribers(world: &World, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(world.subscriber_called(&format!("ORDER_{n:04}"), Cycle::Monthly).await);
    }
    ids
}

const NOTICE: &str = "집체크 구독 갱신 안내";

/// Holds a subscription's row until the transaction ends, as an operator's session does.
async fn hold(pool: &PgPool, id: Uuid) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut held = pool.begin().await.unwrap();
    let lock = "select id from subscriptions where id = $1 for update";
    sqlx::query(lock).bind(id).execute(&mut *held).await.unwrap();
    held
}

async fn changed(pool: &PgPool) -> Vec<Uuid> {
    let changed =
        "select subscription_id from plan_changes where status = 'pending' order by subscription_id";
    sqlx::query_scalar(changed).fetch_all(pool).await.unwrap()
}

/// From now on the database refuses new rows of this table for this subscription.
async fn refuse_rows(pool: &PgPool, table: &str, subscription: Uuid) {
    let statements = [
        "create function refuse() returns trigger language plpgsql as $$ begin
             raise exception 'refused' using errcode = 'check_violation';
         end $$"
            .to_owned(),
        format!(
            "create trigger refuse before insert on {table} for each row
                 when (new.subscription_id = '{subscription}') execute function refuse()"
        ),
    ];
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_locked_subscription_is_skipped_and_billed_later(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let ids = subscribers(&world, 10).await;
    world.live_until("2026-12-21").await;
    let held = hold(&pool, ids[3]).await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(world.net(*id).await, if n == 3 { 9_900 } else { 2 * 9_900 }, "{n}");
    }
    held.rollback().await.unwrap();
    world.advance(TimeDelta::minutes(6));
    world.run_due_jobs().await;
    assert_eq!(world.net(ids[3]).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_that_raises_keeps_nobody_from_being_billed(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let ids = subscribers(&world, 7).await;
    world.live_until("2026-12-21").await;
    refuse_rows(&pool, "invoices", ids[4]).await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(world.net(*id).await, if n == 4 { 9_900 } else { 2 * 9_900 }, "{n}");
    }
    sqlx::query("drop function refuse cascade").execute(&pool).await.unwrap();
    world.live(1).await;
    assert_eq!(world.net(ids[4]).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_notice_that_cannot_be_written_keeps_no_other_back(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let ids = subscribers(&world, 5).await;
    refuse_rows(&pool, "emails", ids[0]).await;
    world.live_until("2026-12-20").await;
    let told = world.subjects().iter().filter(|it| *it == NOTICE).count();
    assert_eq!(told, 4);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_locked_row_keeps_a_new_price_from_nobody_else(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let mut ids = subscribers(&world, 4).await;
    ids.sort_unstable();
    world.live_until("2026-12-20").await;
    only_announce(&world, 7_900, "2026-12-20").await;
    let held = hold(&pool, ids[2]).await;
    world.set_clock("2026-12-21T02:00:01+09:00");
    world.settle().await;
    assert_eq!(changed(&pool).await, [ids[0], ids[1], ids[3]]);
    held.rollback().await.unwrap();
    world.advance(TimeDelta::minutes(6));
    world.run_due_jobs().await;
    assert_eq!(changed(&pool).await, ids);
    world.live(1).await;
    for id in ids {
        assert_eq!(world.net(id).await, 9_900 + 7_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_row_that_refuses_a_new_price_stops_only_itself(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let ids = subscribers(&world, 4).await;
    world.live_until("2026-12-20").await;
    only_announce(&world, 7_900, "2026-12-20").await;
    refuse_rows(&pool, "plan_changes", ids[1]).await;
    world.live(1).await;
    let mut others: Vec<Uuid> = ids.iter().copied().filter(|id| *id != ids[1]).collect();
    others.sort_unstable();
    assert_eq!(changed(&pool).await, others);
    world.live(1).await;
    for id in others {
        assert_eq!(world.net(id).await, 9_900 + 7_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_locked_row_does_not_stop_the_taking_back_of_a_price(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let ids = subscribers(&world, 4).await;
    let price = new_price(&world, 12_900, "2027-01-01").await;
    let held = hold(&pool, ids[0]).await;
    withdraw(&world, price).await.unwrap();
    assert_eq!(changed(&pool).await, [ids[0]]);
    held.rollback().await.unwrap();
    world.live(1).await;
    assert!(changed(&pool).await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_locked_row_gets_its_notice_when_it_is_free(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let ids = subscribers(&world, 3).await;
    world.live_until("2026-12-18").await;
    let held = hold(&pool, ids[1]).await;
    world.live(1).await;
    let told = |world: &World| world.subjects().iter().filter(|it| *it == NOTICE).count();
    assert_eq!(told(&world), 2);
    held.rollback().await.unwrap();
    world.advance(TimeDelta::minutes(6));
    world.run_due_jobs().await;
    assert_eq!(told(&world), 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_told_of_a_charge_that_is_switched_off(pool: PgPool) {
    for is_global in [true, false] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let id = world.subscriber(Cycle::Monthly).await;
        let mut conn = pool.acquire().await.unwrap();
        let (by, why) = ("operator:kim@example.com", "wrong price");
        if is_global {
            settings::switch_charging(&mut conn, false, by, why, world.now()).await.unwrap();
        } else {
            ops::subscription::pause(&mut conn, id, &reason(why), &world.acting("kim")).await.unwrap();
        }
        world.live_until("2026-12-20").await;
        let told = |world: &World| world.subjects().iter().filter(|it| *it == NOTICE).count();
        assert_eq!(told(&world), 0, "global: {is_global}");
        if is_global {
            settings::switch_charging(&mut conn, true, by, why, world.now()).await.unwrap();
        } else {
            ops::subscription::resume(&mut conn, id, &reason(why), &world.acting("kim")).await.unwrap();
        }
        world.live(1).await;
        assert_eq!(told(&world), 1, "global: {is_global}");
        world.live(2).await;
        assert_eq!(world.net(id).await, 2 * 9_900);
    }
}
