//! The test clock: forward only, for everybody, and the command returns when everybody has followed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use common::{
    clock::{Clock, ClockKind, TestClock},
    id::new_key,
    presence::{Presence, PresenceError},
    store::settings,
};
use ops::{OpsError, clock};
use sqlx::PgPool;

#[sqlx::test(migrations = "../migrations")]
async fn an_advance_moves_the_time_of_every_command_and_adds_up(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let before = clock::system_now(&mut conn).await.unwrap();
    clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap();
    let stand = clock::advance(&mut conn, TimeDelta::hours(2)).await.unwrap();
    assert_eq!(
        (stand.moves, stand.offset_ms),
        (2, (TimeDelta::days(31) + TimeDelta::hours(2)).num_milliseconds())
    );
    let moved = clock::system_now(&mut conn).await.unwrap() - before;
    assert!(moved >= TimeDelta::days(31) + TimeDelta::hours(2), "{moved}");
    assert!(clock::now(&mut conn).await.unwrap().to_string().contains("31 d 2 h 0 min ahead"));
}

#[sqlx::test(migrations = "../migrations")]
async fn it_is_set_to_an_instant_to_come_and_never_to_one_that_has_passed(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let to = clock::system_now(&mut conn).await.unwrap() + TimeDelta::days(400);
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
    let presence = Presence::new(pool.clone(), Clock::Test(follower.clone()), "api", new_key());
    presence.enter().await.unwrap();
    let running = presence.spawn(true, || async {});
    let mut conn = pool.acquire().await.unwrap();
    let stand = clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap();
    assert!((Clock::Test(follower).now() - stand.now).abs() < TimeDelta::minutes(1));
    assert_eq!(stand.followed_by, ["api"]);
    running.abort();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_is_slow_to_follow_is_waited_for(pool: PgPool) {
    let followed = Arc::new(AtomicBool::new(false));
    let presence = Presence::new(pool.clone(), Clock::of(ClockKind::Test), "worker", new_key());
    presence.enter().await.unwrap();
    let done = Arc::clone(&followed);
    let running = presence.spawn(true, move || {
        let done = Arc::clone(&done);
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            done.store(true, Ordering::Release);
        }
    });
    let mut conn = pool.acquire().await.unwrap();
    clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap();
    assert!(followed.load(Ordering::Acquire));
    running.abort();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_does_not_follow_is_named_and_a_dead_one_is_not(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let present = |name| Presence::new(pool.clone(), Clock::of(ClockKind::Test), name, new_key());
    // Alive, but it never comes to an end with following; the other one is gone without a word.
    let worker = present("worker");
    worker.enter().await.unwrap();
    let running = worker.spawn(true, std::future::pending);
    present("api").enter().await.unwrap();
    let dead = "update processes set seen_at = seen_at - interval '1 hour' where name = 'api'";
    sqlx::query(dead).execute(&pool).await.unwrap();
    let error = clock::advance(&mut conn, TimeDelta::days(31)).await.unwrap_err();
    running.abort();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().ends_with("but not for: worker"), "{error}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_clock_stays_while_a_process_runs_on_the_systems(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let worker = Presence::new(pool.clone(), Clock::System, "billing-worker", new_key());
    worker.enter().await.unwrap();
    let to = clock::system_now(&mut conn).await.unwrap() + TimeDelta::days(40);
    let advanced = clock::advance(&mut conn, TimeDelta::days(1)).await.unwrap_err();
    for error in [advanced, clock::set(&mut conn, to).await.unwrap_err()] {
        assert!(
            matches!(error, OpsError::Refused(_)) && error.to_string().contains("billing-worker"),
            "{error}"
        );
    }
    assert_eq!(settings::clock(&mut conn).await.unwrap().moves, 0);

    worker.leave().await.unwrap();
    clock::advance(&mut conn, TimeDelta::days(1)).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn on_a_moved_clock_no_process_runs_on_the_systems(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let system = Presence::new(pool.clone(), Clock::System, "billing-api", new_key());
    let test = Presence::new(pool.clone(), Clock::of(ClockKind::Test), "billing-api", new_key());
    // It was cut off when the clock moved, and comes back.
    clock::advance(&mut conn, TimeDelta::days(1)).await.unwrap();
    assert!(matches!(system.enter().await, Err(PresenceError::ClockHasMoved)));
    let ended = system.spawn(false, || async {}).await.unwrap();
    assert!(ended.to_string().contains("CLOCK"), "{ended}");
    assert!(test.enter().await.is_ok());
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_test_clock_it_is_the_machines_time(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let stand = clock::now(&mut conn).await.unwrap();
    assert_eq!((stand.offset_ms, stand.moves), (0, 0));
    let machine: chrono::DateTime<Utc> = Clock::System.now();
    assert!((machine - stand.now).abs() < TimeDelta::seconds(10));
}
