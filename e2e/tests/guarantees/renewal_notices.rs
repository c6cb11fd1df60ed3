//! The notice before a renewal: everybody who will be charged gets one, and nobody is told of a charge that will not come.

use std::time::Duration;

use chrono::TimeDelta;
use common::domain::calendar::Cycle;
use common::domain::subscription::SubscriptionStatus;
use common::store::settings;
use queue::claim;
use sqlx::PgPool;
use uuid::Uuid;
use worker::scheduler;

use crate::requests::{change, consent};
use crate::resume::resume;
use crate::world::{World, reason};

const NOTICE: &str = "집체크 구독 갱신 안내";

fn told(world: &World) -> usize {
    world.subjects().iter().filter(|subject| *subject == NOTICE).count()
}

async fn pause(world: &World, id: Uuid) {
    let mut conn = world.pool.acquire().await.unwrap();
    ops::subscription::pause(&mut conn, id, &reason("wrong price"), &world.acting("kim")).await.unwrap();
}

async fn unpause(world: &World, id: Uuid) {
    let mut conn = world.pool.acquire().await.unwrap();
    ops::subscription::resume(&mut conn, id, &reason("right price"), &world.acting("kim")).await.unwrap();
}

async fn switch(world: &World, on: bool) {
    let mut conn = world.pool.acquire().await.unwrap();
    settings::switch_charging(&mut conn, on, "operator:kim", "wrong price", world.now()).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_comes_back_on_its_eve_is_announced_once(pool: PgPool) {
    for is_canceled in [true, false] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let id = world.subscriber(Cycle::Monthly).await;
        world.live_until("2026-12-01").await;
        if is_canceled {
            world.cancel(id).await;
        } else {
            pause(&world, id).await;
        }
        world.live_until("2026-12-21").await;
        assert_eq!(told(&world), 0, "canceled: {is_canceled}");
        if is_canceled {
            resume(&world, id).await.unwrap();
        } else {
            unpause(&world, id).await;
        }
        world.run_due_jobs().await;
        assert_eq!(told(&world), 1, "canceled: {is_canceled}");
        world.live(2).await;
        assert_eq!((told(&world), world.net(id).await), (1, 2 * 9_900), "canceled: {is_canceled}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_consent_on_the_eve_announces_the_charge_that_it_allows(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-01").await;
    change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    world.live_until("2026-12-21").await;
    assert_eq!(told(&world), 0, "without a consent nothing is charged");
    consent(&world, id).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(told(&world), 1);
    world.live(1).await;
    assert_eq!(world.net(id).await, 9_900 + 19_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_comes_back_weeks_before_is_announced_in_time(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.cancel(id).await;
    world.live_until("2026-12-01").await;
    resume(&world, id).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(told(&world), 0);
    world.live_until("2026-12-20").await;
    assert_eq!(told(&world), 1);
}

/// Lives to the morning on which the notice is written. It is in the outbox then.
async fn notice_waits(world: &mut World) -> Uuid {
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-18").await;
    world.set_clock("2026-12-19T02:00:01+09:00");
    scheduler::catch_up(&world.env, &world.schedule).await.unwrap();
    let kind = ["send-renewal-notices"];
    let claimed = claim(&world.pool, &kind, 1, Duration::from_mins(1), "by hand", world.now()).await.unwrap();
    worker::jobs::run_claimed(&world.env, claimed.into_iter().next().unwrap()).await.unwrap();
    id
}

#[sqlx::test(migrations = "../migrations")]
async fn a_notice_waits_while_its_charge_would_not_happen(pool: PgPool) {
    for stop in ["pause", "switch", "cancel"] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let id = notice_waits(&mut world).await;
        match stop {
            "pause" => pause(&world, id).await,
            "switch" => switch(&world, false).await,
            _ => drop(world.cancel(id).await),
        }
        world.settle().await;
        assert_eq!(told(&world), 0, "{stop}");
        match stop {
            "pause" => unpause(&world, id).await,
            "switch" => switch(&world, true).await,
            _ => drop(resume(&world, id).await.unwrap()),
        }
        world.advance(TimeDelta::minutes(61));
        world.settle().await;
        assert_eq!(told(&world), 1, "{stop}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_notice_whose_charge_never_comes_is_dropped(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let id = notice_waits(&mut world).await;
    world.cancel(id).await;
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Canceled);
    assert_eq!(told(&world), 0);
    let waiting = "select count(*) from emails where status = 'queued'";
    assert_eq!(sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap(), 0);
}
