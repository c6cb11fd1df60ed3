//! The daily run is killed among thousands of due subscriptions, and goes on.

use std::os::unix::process::ExitStatusExt;

use common::store::settings;
use rustix::process::Signal;
use sandbox::{LedgerQuery, Operation};
use sqlx::PgPool;
use testing::until;

use crate::system::System;

/// Subscriptions to the personal plan, all due on 22 December 2026.
async fn subscriptions(pool: &PgPool, count: i32) {
    sqlx::query(
        "with customers as (
             insert into users (id, created_at, updated_at)
             select gen_random_uuid(), now(), now() from generate_series(1, $1::int) returning id
         )
         insert into subscriptions (id, user_id, plan, billing_cycle, billing_key, customer_key, amount, status,
                                    customer_email, customer_name, anchor_on, current_period_start,
                                    current_period_end, next_billing_date, created_at, updated_at)
         select gen_random_uuid(), id, 'personal', 'monthly', 'sealed', id::text, 9900, 'active',
                'user@example.com', '홍길동', '2026-11-22', '2026-11-22',
                '2026-12-22', '2026-12-22T00:00:00+09:00', now(), now()
           from customers",
    )
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
}

/// Invoices, charge jobs, and subscriptions that have exactly one invoice with exactly one charge job.
async fn counted(pool: &PgPool) -> (i64, i64, i64) {
    sqlx::query_as(
        "with pairs as (
               select count(distinct invoices.id) as invoices, count(jobs.id) as jobs
                 from subscriptions
                 left join invoices on invoices.subscription_id = subscriptions.id
                 left join jobs on jobs.kind = 'charge-subscription' and jobs.subject->>'invoice' = invoices.id::text
                group by subscriptions.id
           )
           select (select count(*) from invoices),
                  (select count(*) from jobs where kind = 'charge-subscription'),
                  count(*) filter (where invoices = 1 and jobs = 1)
             from pairs",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scan_killed_twice_bills_each_of_12_000_once(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    subscriptions(&system.pool, 12_000).await;
    // The jobs are made all the same; only the bank is left alone.
    let mut conn = system.pool.acquire().await.unwrap();
    settings::switch_charging(&mut conn, false, "operator:test", "a drill", system.now()).await.unwrap();
    drop(conn);
    system.set_clock("2026-12-22", "02:00:01").await;
    let worker = system.worker().var("CHARGE_CONCURRENCY", 1);

    for (point, scanned) in [("return", 5_000), ("1*off->return", 10_000)] {
        let mut doomed = worker.clone().var("FAILPOINTS", format!("after_scan_batch={point}")).start();
        assert_eq!(doomed.end().await.signal(), Some(Signal::KILL.as_raw()));
        let (invoices, jobs, pairs) = counted(&system.pool).await;
        assert_eq!((jobs, pairs), (invoices, invoices));
        // A job that looks at one of these holds its row: the batch takes another row in its place.
        assert!((scanned..scanned + 10).contains(&invoices), "{invoices}");
        system.leases_run_out().await;
    }
    let worker = worker.start();
    until("the end of the scan", async || {
        let scan =
            sqlx::query_scalar::<_, String>("select state from jobs where kind = 'scan-due-subscriptions'");
        (scan.fetch_one(&system.pool).await.unwrap() == "done").then_some(())
    })
    .await;
    worker.kill().await;

    assert_eq!(counted(&system.pool).await, (12_000, 12_000, 12_000));
    assert_eq!(system.asked(Operation::Charge), 0);
    assert_eq!(system.sandbox.ledger(&LedgerQuery::default()).net, 0);
}
