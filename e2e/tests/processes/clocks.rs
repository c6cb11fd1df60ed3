//! A database is born on one clock: processes of the other kind refuse to start on it, and say why.

use sqlx::PgPool;
use testing::{free_address, until};

use crate::{customer::api, program::Program, system::System};

/// As in a shell that knows the database and nothing else.
async fn advance(system: &System) -> (Option<i32>, String) {
    let billing = Program::named("billing").arg("clock").arg("advance").arg("1d");
    let output = billing.var("DATABASE_URL", system.database_url()).run().await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn no_process_on_the_systems_clock_starts_on_a_test_database(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    for program in [system.worker(), api(&system, free_address())] {
        let output = program.var("CLOCK", "system").run().await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("CLOCK is system, but this database began on the test clock"), "{text}");
    }
    assert_eq!(advance(&system).await, (Some(0), String::new()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_began_on_the_systems_clock_stays_on_it(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    sqlx::query("delete from settings where name = 'clock'").execute(&system.pool).await.unwrap();
    let mut worker = system.worker().var("CLOCK", "system").start();
    until("the worker to decide the clock", async || {
        let kind = "select value->>'kind' from settings where name = 'clock'";
        let kind: Option<String> = sqlx::query_scalar(kind).fetch_optional(&system.pool).await.unwrap();
        (kind.as_deref() == Some("system")).then_some(())
    })
    .await;
    worker.terminate();
    assert!(worker.end().await.success());

    let (code, told) = advance(&system).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("began on the system's clock"), "{told}");
    let output = api(&system, free_address()).var("CLOCK", "test").run().await;
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("CLOCK is test, but this database began on the system clock"), "{text}");
}
