//! The daily runs: one row that is locked, or that raises, stops only itself.

use chrono::TimeDelta;
use common::{domain::calendar::Cycle, store::settings};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{World, reason};

async fn subscribers(world: &World, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(world.subscriber_called(&format!("ORDER_{n:04}"), Cycle::Monthly).await);
    }
    ids
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
    let mut held = pool.begin().await.unwrap();
    let lock = "select id from subscriptions where id = $1 for update";
    sqlx::query(lock).bind(ids[3]).execute(&mut *held).await.unwrap();
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
    let told = world.subjects().iter().filter(|subject| *subject == "집체크 구독 갱신 안내").count();
    assert_eq!(told, 4);
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
        let told = |world: &World| {
            world.subjects().iter().filter(|subject| *subject == "집체크 구독 갱신 안내").count()
        };
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
