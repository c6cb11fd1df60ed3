//! The test clock and the system's never meet on one database: whoever comes second is refused, and says why.

use common::{clock::ClockKind, store::processes};
use sqlx::PgPool;

use crate::{
    customer::api,
    program::{Program, free_address},
    system::System,
    wait::until,
};

/// As in a shell that knows the database and nothing else.
async fn advance(system: &System) -> (Option<i32>, String) {
    let billing = Program::named("billing").arg("clock").arg("advance").arg("1d");
    let output = billing.var("DATABASE_URL", system.database_url()).run().await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

async fn offset(system: &System) -> Option<i64> {
    let stand = "select (value->>'offsetMs')::bigint from settings where name = 'test_clock'";
    sqlx::query_scalar(stand).fetch_optional(&system.pool).await.unwrap()
}

async fn present(system: &System, clock: ClockKind) {
    let mut conn = system.pool.acquire().await.unwrap();
    until("a process to be there", async || {
        let there = processes::following(&mut conn, clock).await.unwrap();
        (!there.is_empty()).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn where_the_clock_was_moved_no_program_starts_on_the_systems(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    for program in [system.worker(), api(&system, free_address())] {
        let output = program.var("CLOCK", "system").run().await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("CLOCK is system, but the test clock of this database has been moved"),
            "{text}"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_clock_is_not_moved_under_a_worker_on_the_systems_until_it_has_ended(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    sqlx::query("delete from settings where name = 'test_clock'").execute(&system.pool).await.unwrap();
    let mut worker = system.worker().var("CLOCK", "system").start();
    present(&system, ClockKind::System).await;

    let (code, told) = advance(&system).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("billing-worker"), "{told}");
    assert_eq!(offset(&system).await.unwrap_or_default(), 0);

    worker.terminate();
    assert!(worker.end().await.success());
    assert_eq!(advance(&system).await, (Some(0), String::new()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_stands_still_is_named_and_one_that_was_killed_is_not_waited_for(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let worker = system.worker().start();
    present(&system, ClockKind::Test).await;
    worker.freeze();
    let (code, told) = advance(&system).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("billing-worker"), "{told}");

    worker.kill().await;
    assert_eq!(advance(&system).await, (Some(0), String::new()));
}
