//! A worker dies by SIGKILL on any line of the money path: whatever was in hand is finished once, by the next one.

use std::os::unix::process::ExitStatusExt;

use chrono::TimeDelta;
use rustix::process::Signal;
use sandbox::{AnswerTiming, Effect, Fault, Operation};
use sqlx::PgPool;
use testing::until;
use uuid::Uuid;

use crate::{books::Books, system::System};

#[derive(Clone, Copy)]
pub(crate) enum Death {
    /// At this point of the code.
    At(&'static str),
    /// While the bank has the request and has not answered.
    DuringTheCall,
}

use Death::{At, DuringTheCall};

/// Starts a worker that dies so, while it does `operation` for this subscription.
pub(crate) async fn die(system: &System, death: Death, operation: Operation) {
    match death {
        At(point) => {
            let mut doomed = system.worker().var("FAILPOINTS", format!("{point}=return")).start();
            let killed = Some(Signal::KILL.as_raw());
            assert_eq!(doomed.end().await.signal(), killed, "it was to die at {point}");
        }
        DuringTheCall => {
            let slow = Effect::HangThenApprove { ms: 1_000, answer: AnswerTiming::Late };
            system.sandbox.fault(Fault::next(operation, slow)).unwrap();
            let (asked, doomed) = (system.asked(operation), system.worker().start());
            until("the call", async || (system.asked(operation) > asked).then_some(())).await;
            doomed.kill().await;
        }
    }
    system.leases_run_out().await;
}

async fn books_become(system: &System, id: Uuid, step: TimeDelta, books: Books) {
    let worker = system.worker().start();
    let invoices = books.invoices.len();
    system
        .live_until("every payment settled", step, async || {
            let now = system.books(id).await;
            now.invoices.len() == invoices && now.invoices == books.invoices && now.payments == books.payments
        })
        .await;
    assert_eq!(system.books(id).await, books);
    worker.kill().await;
}

async fn a_renewal_survives(pool: PgPool, death: Death) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.subscriber().await;
    system.set_clock("2026-12-22", "02:00:01").await;
    die(&system, death, Operation::Charge).await;
    books_become(&system, id, TimeDelta::minutes(15), Books::paid(2)).await;
}

/// The buyer's authentication lives for ten minutes, so the clock goes in small steps.
async fn a_first_payment_survives(pool: PgPool, death: Death) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.order("ORDER_1").await;
    die(&system, death, Operation::Confirm).await;
    books_become(&system, id, TimeDelta::seconds(30), Books::paid(1)).await;
}

async fn a_refund_survives(pool: PgPool, death: Death) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.subscriber().await;
    system.refund(id).await;
    die(&system, death, Operation::Cancel).await;
    books_become(&system, id, TimeDelta::minutes(15), Books::refunded()).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_killed_before_its_call_is_charged_once(pool: PgPool) {
    a_renewal_survives(pool, At("after_intent")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_killed_during_its_call_is_charged_once(pool: PgPool) {
    a_renewal_survives(pool, DuringTheCall).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_killed_with_the_answer_in_hand_is_charged_once(pool: PgPool) {
    a_renewal_survives(pool, At("after_call")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_killed_before_its_outcome_is_charged_once(pool: PgPool) {
    a_renewal_survives(pool, At("before_outcome_commit")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_killed_after_its_outcome_is_charged_once(pool: PgPool) {
    a_renewal_survives(pool, At("after_outcome")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_killed_before_its_call_is_taken_once(pool: PgPool) {
    a_first_payment_survives(pool, At("after_intent")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_killed_during_its_call_is_taken_once(pool: PgPool) {
    a_first_payment_survives(pool, DuringTheCall).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_killed_with_the_answer_in_hand_is_taken_once(pool: PgPool) {
    a_first_payment_survives(pool, At("after_call")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_killed_before_its_outcome_is_taken_once(pool: PgPool) {
    a_first_payment_survives(pool, At("before_outcome_commit")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_killed_before_its_call_goes_back_once(pool: PgPool) {
    a_refund_survives(pool, At("after_refund_intent")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_killed_during_its_call_goes_back_once(pool: PgPool) {
    a_refund_survives(pool, DuringTheCall).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_killed_with_the_answer_in_hand_goes_back_once(pool: PgPool) {
    a_refund_survives(pool, At("after_refund_call")).await;
}

/// Nobody helps here: the next worker finds by itself what the dead one held.
#[sqlx::test(migrations = "../migrations")]
async fn a_worker_takes_over_from_a_dead_one_when_its_lease_is_over(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.order("ORDER_1").await;
    let mut doomed = system.worker().var("FAILPOINTS", "after_call=return").start();
    doomed.end().await;
    let _next = system.worker().start();
    let over = sqlx::query(
        "update jobs set lease_until = clock_timestamp() where kind = 'confirm-payment' and state = 'running'",
    );
    assert_eq!(over.execute(&system.pool).await.unwrap().rows_affected(), 1);
    until("the payment", async || (system.books(id).await == Books::paid(1)).then_some(())).await;
    let crashes = sqlx::query_scalar::<_, i32>("select crashes from jobs where kind = 'confirm-payment'");
    assert_eq!(crashes.fetch_all(&system.pool).await.unwrap(), [1]);
}
