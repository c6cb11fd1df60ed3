//! The test clock: forward only, for everybody, and the command returns when everybody has followed.

use chrono::TimeDelta;
use common::clock::{Clock, ClockKind, TestClock};
use common::clock_follower::{ClockError, ClockFollower};
use common::store::settings;
use ops::{OpsError, clock, system_time};
use sqlx::PgPool;

use crate::seed::{author, start};

#[sqlx::test(migrations = "../migrations")]
async fn an_advance_moves_the_time_of_every_command_and_adds_up(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let before = system_time::system_now(&mut conn).await.unwrap();
    clock::advance(&mut conn, TimeDelta::days(31), &author("kim", start())).await.unwrap();
    let stand = clock::advance(&mut conn, TimeDelta::hours(2), &author("kim", start())).await.unwrap();
    assert_eq!(
        (stand.moves, stand.offset_ms),
        (2, (TimeDelta::days(31) + TimeDelta::hours(2)).num_milliseconds())
    );
    let moved = system_time::system_now(&mut conn).await.unwrap() - before;
    assert!(moved >= TimeDelta::days(31) + TimeDelta::hours(2), "{moved}");
    assert!(clock::now(&mut conn).await.unwrap().to_string().contains("31 d 2 h 0 min ahead"));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_clock_goes_to_an_instant_to_come_and_never_back(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let to = system_time::system_now(&mut conn).await.unwrap() + TimeDelta::days(400);
    let stand = clock::set(&mut conn, to, &author("kim", start())).await.unwrap();
    assert!(
        stand.now >= to - TimeDelta::milliseconds(1) && stand.now < to + TimeDelta::minutes(1),
        "{stand}"
    );

    let back = clock::set(&mut conn, to - TimeDelta::days(1), &author("kim", start())).await.unwrap_err();
    assert!(matches!(back, OpsError::Refused(_)) && back.to_string().contains("forward only"), "{back}");
    let never =
        clock::advance(&mut conn, TimeDelta::days(4_000_000), &author("kim", start())).await.unwrap_err();
    assert_eq!(never.exit_code(), 2);
    assert_eq!(settings::clock(&mut conn).await.unwrap().moves, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_advance_returns_when_a_running_process_has_moved(pool: PgPool) {
    let clock = TestClock::default();
    let follower = ClockFollower::new(pool.clone(), Clock::Test(clock.clone()));
    follower.join().await.unwrap();
    let mut running = vec![tokio::spawn(async move {
        follower.keep_following(true, || async {}, || {}).await;
    })];
    // What follows from a move takes as long as it takes; the clock follows all the same.
    let busy = TestClock::default();
    let follower = ClockFollower::new(pool.clone(), Clock::Test(busy.clone()));
    running.push(tokio::spawn(async move {
        follower.keep_following(false, std::future::pending::<()>, || {}).await;
    }));
    let mut conn = pool.acquire().await.unwrap();
    for _ in 0..2 {
        let stand = clock::advance(&mut conn, TimeDelta::days(31), &author("kim", start())).await.unwrap();
        for clock in [&clock, &busy] {
            assert!((Clock::Test(clock.clone()).now() - stand.now).abs() < TimeDelta::minutes(1));
        }
    }
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_began_on_the_systems_clock_is_never_moved(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    ClockFollower::new(pool.clone(), Clock::System).join().await.unwrap();
    let to = system_time::system_now(&mut conn).await.unwrap() + TimeDelta::days(40);
    let advanced = clock::advance(&mut conn, TimeDelta::days(1), &author("kim", start())).await.unwrap_err();
    for error in [advanced, clock::set(&mut conn, to, &author("kim", start())).await.unwrap_err()] {
        assert!(
            matches!(error, OpsError::Refused(_)) && error.to_string().contains("system's clock"),
            "{error}"
        );
    }
    assert_eq!(settings::clock(&mut conn).await.unwrap().moves, 0);
    let test = ClockFollower::new(pool.clone(), Clock::of(ClockKind::Test));
    assert!(matches!(test.join().await, Err(ClockError::OtherClock { .. })));
}

#[sqlx::test(migrations = "../migrations")]
async fn no_process_on_the_systems_clock_joins_a_test_database(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let system = ClockFollower::new(pool.clone(), Clock::System);
    let test = ClockFollower::new(pool.clone(), Clock::of(ClockKind::Test));
    test.join().await.unwrap();
    clock::advance(&mut conn, TimeDelta::days(1), &author("kim", start())).await.unwrap();
    assert!(matches!(system.join().await, Err(ClockError::OtherClock { .. })));
    // The database was away when it started.
    let ended = system.keep_following(false, || async {}, || {}).await;
    assert!(ended.to_string().contains("CLOCK"), "{ended}");
    assert!(test.join().await.is_ok());
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_test_clock_it_is_the_machines_time(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let stand = clock::now(&mut conn).await.unwrap();
    assert_eq!((stand.offset_ms, stand.moves), (0, 0));
    let machine: chrono::DateTime<chrono::Utc> = Clock::System.now();
    assert!((machine - stand.now).abs() < TimeDelta::seconds(10));
}
