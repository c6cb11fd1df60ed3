//! 대사: Toss's books against ours, both ways. Every difference is a row, and none is repaired.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta};
use common::domain::calendar::Cycle;
use common::jobs;
use common::jobs::ReconcilePayments;
use common::store::discrepancies;
use common::store::discrepancies::{DiscrepancyRow, Run};
use sandbox::{Effect, Fault, Operation, Purchase};
use sqlx::PgPool;
use toss::{ChargeOutcome, ConfirmRequest, IdempotencyKey};

use crate::{lost_answers::renewal_with, world::World};

/// An operator has a day compared.
async fn reconcile(world: &World, date: NaiveDate) -> Run {
    let mut conn = world.pool.acquire().await.unwrap();
    let job = ReconcilePayments { date, daily_run: None };
    let job = jobs::enqueue(&mut conn, &job, world.now(), world.now()).await.unwrap();
    world.run_due_jobs().await;
    discrepancies::run_of_job(&mut conn, job.id()).await.unwrap().expect("a finished run")
}

async fn breaks_of(world: &World, date: NaiveDate) -> Vec<DiscrepancyRow> {
    let mut conn = world.pool.acquire().await.unwrap();
    discrepancies::of_day(&mut conn, date).await.unwrap()
}

async fn open_breaks(world: &World) -> Vec<String> {
    let mut conn = world.pool.acquire().await.unwrap();
    let mut kinds: Vec<String> =
        discrepancies::open(&mut conn, 10_000).await.unwrap().into_iter().map(|line| line.kind).collect();
    kinds.sort();
    kinds
}

/// Our books, to the email.
async fn books(world: &World) -> Vec<String> {
    let sql = "select p::text from payments p union all select r::text from refunds r
               union all select i::text from invoices i union all select s::text from subscriptions s
               union all select e::text from subscription_events e union all select m.unique_key from emails m
               order by 1";
    sqlx::query_scalar(sql).fetch_all(&world.pool).await.unwrap()
}

/// Changes our books past every fence, as a bug or the tables' owner could.
async fn tamper(world: &World, table: &str, change: &str) {
    let mut tx = world.pool.begin().await.unwrap();
    for sql in [
        "alter table payments drop constraint if exists payments_amount_is_the_invoices".to_owned(),
        format!("alter table {table} disable trigger user"),
        format!("update {table} {change}"),
        format!("alter table {table} enable trigger user"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Money that Toss takes and nobody here knows of. Answers its payment key.
async fn capture_behind_our_back(world: &World, order_id: &str) -> String {
    let open = world.sandbox.pay(Purchase::new(order_id, 9_900)).unwrap();
    let asked = ConfirmRequest {
        payment_key: open.payment_key.clone(),
        order_id: order_id.to_owned(),
        amount: 9_900,
    };
    let key = IdempotencyKey::new(order_id).unwrap();
    assert!(matches!(world.env.toss.confirm(&asked, &key).await, ChargeOutcome::Paid(_)));
    open.payment_key
}

async fn payment_key(world: &World, order_id: &str) -> String {
    sqlx::query_scalar("select payment_key from payments where order_id = $1")
        .bind(order_id)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn days_on_which_all_went_well_have_no_breaks(pool: PgPool) {
    for negative in [false, true] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        world.sandbox.set_switches(|switches| switches.negative_cancel_rows = negative);
        for table in ["users", "jobs", "reconciliation_runs"] {
            let truncate = format!("truncate {table} cascade");
            sqlx::query(sqlx::AssertSqlSafe(truncate)).execute(&world.pool).await.unwrap();
        }
        let id = world.subscriber(Cycle::Monthly).await;
        world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
        world.live_until("2026-12-21").await;
        world.set_clock("2026-12-22T02:00:01+09:00");
        world.settle().await;
        // Cancelled while the charge is in flight: when it lands, the money goes back.
        world.cancel(id).await;
        world.live(3).await;
        assert_eq!(world.history(id).await.statuses(), ["completed", "refunded"]);

        let mut conn = world.pool.acquire().await.unwrap();
        assert_eq!(discrepancies::open(&mut conn, 10).await.unwrap(), []);
        let runs: Vec<(NaiveDate, i32, i32, i32, i32)> = sqlx::query_as(
            "select date, captures, payments, refunds, our_refunds from reconciliation_runs
              where captures + payments + refunds + our_refunds > 0 order by date, finished_at",
        )
        .fetch_all(&world.pool)
        .await
        .unwrap();
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let expected = [("2026-11-22", 1, 1, 0, 0), ("2026-12-22", 1, 1, 0, 0), ("2026-12-23", 0, 0, 1, 1)];
        assert_eq!(runs, expected.map(|(day, a, b, c, d)| (date(day), a, b, c, d)));
        assert_eq!(world.net(id).await, 9_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_kind_of_break_is_shown_and_none_is_repaired(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    for order in ["ORDER_FAILED", "ORDER_AMOUNT", "ORDER_GONE", "ORDER_REFUND", "ORDER_BACK"] {
        world.subscriber_called(order, Cycle::Monthly).await;
    }
    // Refunds of the dashboard that are booked as they should be, before our books are tampered with.
    for order in ["ORDER_REFUND", "ORDER_BACK"] {
        world.sandbox.cancel_in_dashboard(&payment_key(&world, order).await, Some(4_000), "요청").unwrap();
    }
    assert_eq!(reconcile(&world, world.today()).await.discrepancies_ended, 2);
    sqlx::query("delete from discrepancies").execute(&world.pool).await.unwrap();

    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::ApproveThenCut)).unwrap();
    world.order("ORDER_OPEN", crate::world::GOOD, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    let unknown = capture_behind_our_back(&world, "ORDER_UNKNOWN").await;
    world.sandbox.cancel_in_dashboard(&unknown, Some(1_000), "요청").unwrap();
    tamper(&world, "payments", "set status = 'failed', paid_at = null where order_id = 'ORDER_FAILED'").await;
    tamper(&world, "payments", "set amount = 9000 where order_id = 'ORDER_AMOUNT'").await;
    tamper(&world, "payments", "set order_id = 'ORDER_ELSE' where order_id = 'ORDER_GONE'").await;
    tamper(
        &world,
        "refunds",
        "set amount = 3000 where payment_id = (select id from payments where order_id = 'ORDER_REFUND')",
    )
    .await;
    tamper(&world, "refunds", "set transaction_key = 'nobody' where payment_id = (select id from payments where order_id = 'ORDER_BACK')").await;
    let before = books(&world).await;

    let run = reconcile(&world, world.today()).await;

    let found: BTreeSet<(String, Option<String>)> =
        breaks_of(&world, world.today()).await.into_iter().map(|line| (line.kind, line.order_id)).collect();
    let expected = [
        ("unknown_capture", "ORDER_UNKNOWN"),
        ("unknown_capture", "ORDER_GONE"),
        ("capture_known_as_failed", "ORDER_FAILED"),
        ("capture_known_as_unfinished", "ORDER_OPEN"),
        ("amount_differs", "ORDER_AMOUNT"),
        ("missing_at_toss", "ORDER_ELSE"),
        ("unknown_refund", "ORDER_UNKNOWN"),
        ("refund_amount_differs", "ORDER_REFUND"),
        ("refund_missing_at_toss", "ORDER_BACK"),
    ];
    let mut expected: BTreeSet<_> =
        expected.map(|(kind, order)| (kind.to_owned(), Some(order.to_owned()))).into();
    expected.insert(("unknown_refund".to_owned(), Some("ORDER_BACK".to_owned())));
    assert_eq!(found, expected);
    assert_eq!((run.discrepancies_new, run.discrepancies_open), (10, 10));
    assert_eq!(books(&world).await, before, "nothing is repaired");

    let again = reconcile(&world, world.today()).await;
    assert_eq!((again.discrepancies_new, again.discrepancies_ended, again.discrepancies_open), (0, 0, 10));
    tamper(&world, "payments", "set amount = 9900 where order_id = 'ORDER_AMOUNT'").await;
    let mended = reconcile(&world, world.today()).await;
    assert_eq!((mended.discrepancies_new, mended.discrepancies_ended, mended.discrepancies_open), (0, 1, 9));
    let lines = breaks_of(&world, world.today()).await;
    let resolved: Vec<_> = lines.iter().filter(|line| line.resolved_at.is_some()).collect();
    assert_eq!((lines.len(), resolved.len()), (10, 1));
    assert_eq!(resolved[0].kind, "amount_differs");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_capture_without_answer_is_a_discrepancy_until_next_run(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = renewal_with(&mut world, Effect::ApproveThenCut).await;
    reconcile(&world, world.today()).await;
    assert_eq!(open_breaks(&world).await, ["capture_known_as_unfinished"]);
    world.live(1).await;
    assert_eq!(open_breaks(&world).await, Vec::<String>::new());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_break_is_looked_at_again_every_day_until_its_cause_is_gone(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    tamper(&world, "payments", "set amount = 9000 where order_id = 'ORDER_1'").await;
    world.live(3).await;
    assert_eq!(open_breaks(&world).await, ["amount_differs"]);
    tamper(&world, "payments", "set amount = 9900 where order_id = 'ORDER_1'").await;
    world.live(1).await;
    assert_eq!(open_breaks(&world).await, Vec::<String>::new());
}

#[sqlx::test(migrations = "../migrations")]
async fn days_that_were_missed_are_compared_when_the_system_is_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    world.live(1).await;
    capture_behind_our_back(&world, "ORDER_MISSED").await;
    world.advance(TimeDelta::days(4));
    world.settle().await;
    let days: Vec<String> = sqlx::query_scalar("select date::text from reconciliation_runs order by date")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(days, ["2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"]);
    assert_eq!(open_breaks(&world).await, ["unknown_capture"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn days_missed_in_a_long_outage_are_compared_later(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    tamper(&world, "payments", "set amount = 9000 where order_id = 'ORDER_1'").await;
    world.live(1).await;
    assert_eq!(open_breaks(&world).await, ["amount_differs"]);
    capture_behind_our_back(&world, "ORDER_MISSED").await;
    tamper(&world, "payments", "set amount = 9900 where order_id = 'ORDER_1'").await;
    world.advance(TimeDelta::days(90));
    world.settle().await;
    let compared: i64 = sqlx::query_scalar("select count(distinct date) from reconciliation_runs")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(compared, 91);
    assert_eq!(open_breaks(&world).await, ["unknown_capture"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_compared_before_its_end_is_compared_again(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.live(1).await;
    reconcile(&world, world.today()).await;
    capture_behind_our_back(&world, "ORDER_AFTERWARDS").await;
    world.advance(TimeDelta::days(3));
    world.settle().await;
    assert_eq!(open_breaks(&world).await, ["unknown_capture"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_toss_does_not_answer_nothing_is_concluded(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Transactions, Effect::Error500NotApproved).times(3)).unwrap();
    world.set_clock("2026-11-23T02:00:01+09:00");
    world.settle().await;
    let runs = "select count(*) from reconciliation_runs";
    assert_eq!(sqlx::query_scalar::<_, i64>(runs).fetch_one(&world.pool).await.unwrap(), 0);
    assert_eq!(open_breaks(&world).await, Vec::<String>::new());
    for _ in 0..4 {
        world.advance(TimeDelta::minutes(5));
        world.run_due_jobs().await;
    }
    assert_eq!(sqlx::query_scalar::<_, i64>(runs).fetch_one(&world.pool).await.unwrap(), 1);
    assert_eq!(open_breaks(&world).await, Vec::<String>::new());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_of_more_than_one_page_is_read_to_its_end(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    for n in 0..1_001 {
        capture_behind_our_back(&world, &format!("ORDER_{n:04}")).await;
    }
    let run = reconcile(&world, world.today()).await;
    assert_eq!((run.captures, run.discrepancies_new), (1_001, 1_001));
    assert_eq!(breaks_of(&world, world.today()).await.len(), 1_001);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_accepted_break_is_found_again_without_an_alarm(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.live(1).await;
    capture_behind_our_back(&world, "ORDER_OF_THE_SHOP").await;
    world.live(1).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let found = discrepancies::open(&mut conn, 10).await.unwrap().remove(0);
    discrepancies::accept(&mut conn, found.id, "operator:lee", "sold in the shop", world.now())
        .await
        .unwrap();
    drop(conn);
    world.live(2).await;
    let lines = breaks_of(&world, found.date).await;
    assert_eq!(lines.len(), 1);
    assert!(lines[0].last_seen_at > found.last_seen_at && lines[0].resolved_at.is_none());
    assert_eq!(open_breaks(&world).await, Vec::<String>::new());
}
