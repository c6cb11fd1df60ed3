//! Any number of workers on one database, and a worker that is asked to stop.

use common::domain::subscription::SubscriptionStatus;
use sandbox::{Effect, Fault, LedgerQuery, Operation};
use sqlx::PgPool;
use testing::{free_address, until};

use crate::{books::Books, program::ready, system::System};

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_charge_each_of_60_due_subscriptions_once(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    for number in 1..=60 {
        system.order(&format!("ORDER_{number}")).await;
    }
    let addresses = [free_address(), free_address()];
    let _workers = addresses.map(|address| system.worker().var("WORKER_ADDR", address).start());
    for address in addresses {
        ready(address).await;
    }
    system.quiet().await;
    assert_eq!(system.sandbox.ledger(&LedgerQuery::default()).charges, 60);

    // Slow enough for both to get their share.
    let slow = Fault { times: None, ..Fault::next(Operation::Charge, Effect::Delay { ms: 100 }) };
    system.sandbox.fault(slow).unwrap();
    system.set_clock("2026-12-22", "02:00:01").await;
    system.quiet().await;

    let ledger = system.sandbox.ledger(&LedgerQuery::default());
    assert_eq!((ledger.charges, ledger.net), (120, 120 * 9_900));
    assert_eq!(ledger.asked(Operation::Charge), 60);
    let charged: (i64, i64, i64, i64, i64) = sqlx::query_as(
        "select count(distinct worker), count(*) filter (where state = 'done'),
                (select count(*) from payments where status = 'completed'),
                (select count(*) from invoices where status <> 'paid'),
                (select count(*) from emails where kind = 'payment_succeeded')
           from jobs where kind = 'charge-subscription'",
    )
    .fetch_one(&system.pool)
    .await
    .unwrap();
    // Workers that took part, jobs done, payments completed, invoices unpaid, success mails.
    assert_eq!(charged, (2, 60, 120, 0, 120));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_asked_to_stop_finishes_the_charge_and_exits_0(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let id = system.subscriber().await;
    system.sandbox.fault(Fault::next(Operation::Charge, Effect::Delay { ms: 3_000 })).unwrap();
    system.set_clock("2026-12-22", "02:00:01").await;
    let mut worker = system.worker().start();
    until("the call", async || (system.asked(Operation::Charge) == 1).then_some(())).await;
    assert_eq!(system.books(id).await.payments, ["completed", "pending"]);

    worker.terminate();
    assert_eq!(worker.end().await.code(), Some(0));

    let running = sqlx::query_scalar::<_, i64>("select count(*) from jobs where state = 'running'");
    assert_eq!(running.fetch_one(&system.pool).await.unwrap(), 0);
    let books = system.books(id).await;
    assert_eq!((books.payments, books.net), (Books::paid(2).payments, 2 * 9_900));
    assert!(system.is(id, SubscriptionStatus::Active).await);
    // The email was queued with the outcome: the next worker sends it.
    let _next = system.worker().start();
    until("the e-mail", async || (system.books(id).await == Books::paid(2)).then_some(())).await;
    assert_eq!(system.asked(Operation::Charge), 1);
}
