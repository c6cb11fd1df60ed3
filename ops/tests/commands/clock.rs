//! The test clock: forward only, for everybody, and the command returns when everybody has followed.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use common::{
    clock::{Clock, TestClock},
    id::new_key,
    presence::Presence,
    store::{processes, settings},
};
use ops::{OpsError, clock, moment};
use sqlx::PgPool;

#[sqlx::test(migrations = "../migrations")]
async fn an_advance_moves_the_time_of_every_command_and_adds_up(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let before = moment::now(&mut conn).await.unwrap();
    clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap();
    let stand = clock::advance(&mut conn, TimeDelta::hours(2)).await.unwrap();
    assert_eq!(
        (stand.moves, stand.offset_ms),
        (2, (TimeDelta::days(31) + TimeDelta::hours(2)).num_milliseconds())
    );
    let moved = moment::now(&mut conn).await.unwrap() - before;
    assert!(moved >= TimeDelta::days(31) + TimeDelta::hours(2), "{moved}");
    assert!(clock::now(&mut conn).await.unwrap().to_string().contains("31 d 2 h 0 min ahead"));
}

#[sqlx::test(migrations = "../migrations")]
async fn it_is_set_to_an_instant_to_come_and_never_to_one_that_has_passed(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let to = moment::now(&mut conn).await.unwrap() + TimeDelta::days(400);
    let stand = clock::set(&mut conn, to).await.unwrap();
    assert!(
        stand.now >= to - TimeDelta::milliseconds(1) && stand.now < to + TimeDelta::minutes(1),
        "{stand}"
    );

    let back = clock::set(&mut conn, to - TimeDelta::days(1)).await.unwrap_err();
    assert!(matches!(back, OpsError::Refused(_)) && back.to_string().contains("forward only"), "{back}");
    let never = clock::advance(&mut conn, TimeDelta::days(4_000_000)).await.unwrap_err();
    assert_eq!(never.exit_code(), 2);
    assert_eq!(settings::clock(&mut conn).await.unwrap().moves, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_advance_returns_when_a_running_process_has_moved(pool: PgPool) {
    let follower = TestClock::default();
    let presence = Presence::new(pool.clone(), follower.clone(), "api", new_key());
    let running = presence.spawn(|| async {});
    let mut conn = pool.acquire().await.unwrap();
    while processes::alive(&mut conn).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stand = clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap();
    assert!((Clock::Test(follower).now() - stand.now).abs() < TimeDelta::minutes(1));
    assert_eq!(stand.followed_by, ["api"]);
    running.abort();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_does_not_follow_is_named(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (id, stuck) = (new_key(), pool.clone());
    processes::report(&mut conn, id, "worker", 0).await.unwrap();
    // Alive, but where it was before the move.
    let running = tokio::spawn(async move {
        let mut conn = stuck.acquire().await.unwrap();
        loop {
            processes::report(&mut conn, id, "worker", 0).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let error = clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap_err();
    assert!(error.to_string().ends_with("not within 10 s for: worker"), "{error}");
    running.abort();
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_test_clock_it_is_the_machines_time(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let stand = clock::now(&mut conn).await.unwrap();
    assert_eq!((stand.offset_ms, stand.moves), (0, 0));
    let machine: chrono::DateTime<Utc> = Clock::System.now();
    assert!((machine - stand.now).abs() < TimeDelta::seconds(10));
}
