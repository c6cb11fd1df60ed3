//! PostgreSQL goes away in the middle of a charge: what the bank said is held in hand until it can be written.

use sandbox::{AnswerTiming, Effect, Fault, Operation};
use sqlx::PgPool;
use testing::until;

use crate::{books::Books, proxy::Line, system::System};

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_without_a_database_is_written_when_it_is_back(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.subscriber().await;
    let line = Line::to(&system.pool).await;
    let slow = Effect::HangThenApprove { ms: 1_000, answer: AnswerTiming::Late };
    system.sandbox.fault(Fault::next(Operation::Charge, slow)).unwrap();
    system.set_clock("2026-12-22", "02:00:01").await;
    let mut worker = system.worker().var("DATABASE_URL", line.over(system.database_url())).start();

    until("the call", async || (system.asked(Operation::Charge) == 1).then_some(())).await;
    line.cut();
    until("the money to move", async || (system.ledger(id).await.charges == 2).then_some(())).await;
    let tried = line.turned_away();
    until("the worker to miss the database", async || (line.turned_away() > tried + 20).then_some(())).await;
    assert_eq!(system.books(id).await.payments, ["completed", "pending"]);
    line.mend();

    until("the outcome", async || (system.books(id).await == Books::paid(2)).then_some(())).await;
    assert_eq!(system.asked(Operation::Charge), 1);
    assert_eq!(system.asked(Operation::Lookup), 0, "the answer in hand was enough");
    worker.terminate();
    assert!(worker.end().await.success());
}
