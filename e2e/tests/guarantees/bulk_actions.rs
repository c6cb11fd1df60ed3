//! Bulk actions: what matches when it begins is worked off one by one, each item once, whatever happens meanwhile.

use common::commands::bulk::{
    BulkError, BulkRequest, BulkStep, do_next_item, dry_run_bulk, start_bulk, stop_bulk,
};
use common::domain::action::Action;
use common::domain::bulk::{BulkAction, BulkFilter};
use common::domain::calendar::Cycle;
use common::store::bulk_actions::BulkRow;
use common::store::operator_actions::ActionFilter;
use common::store::{bulk_actions, operator_actions};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{World, reason};

/// Subscriptions whose period from 22 December was not charged in time: its invoice is on hold.
async fn with_invoices_on_hold(world: &mut World, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(world.subscriber_called(&format!("ORDER_{n}"), Cycle::Monthly).await);
    }
    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    ids
}

async fn start(
    world: &World,
    action: BulkAction,
    filter: &BulkFilter,
    (seen, key): (Option<i64>, Option<&str>),
) -> Result<BulkRow, BulkError> {
    let (acting, reason) = (world.acting("kim@example.com"), reason("our outage"));
    let request = BulkRequest { action, filter, actor: &acting.actor, reason: &reason, seen, key };
    let mut tx = world.pool.begin().await.unwrap();
    let bulk = start_bulk(&mut tx, &request, acting.now).await?;
    tx.commit().await.unwrap();
    Ok(bulk)
}

async fn progress(world: &World, id: Uuid) -> (String, i32, i32) {
    let mut conn = world.pool.acquire().await.unwrap();
    let bulk = bulk_actions::find(&mut conn, id).await.unwrap().unwrap();
    (bulk.state, bulk.done, bulk.skipped)
}

async fn audit_rows(world: &World, bulk_id: Uuid) -> usize {
    let filter = ActionFilter { bulk_id: Some(bulk_id), ..ActionFilter::default() };
    let mut conn = world.pool.acquire().await.unwrap();
    operator_actions::page(&mut conn, &filter, 1_000).await.unwrap().len()
}

async fn net_of_all(world: &World, ids: &[Uuid]) -> i64 {
    let mut sum = 0;
    for id in ids {
        sum += world.net(*id).await;
    }
    sum
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_dry_run_counts_is_what_a_bulk_action_does(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = with_invoices_on_hold(&mut world, 4).await;
    let before = net_of_all(&world, &ids).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let all = BulkFilter::default();
    let dry = dry_run_bulk(&mut conn, BulkAction::ChargeInvoices, &all).await.unwrap();
    assert_eq!((dry.total, dry.amount, dry.left_out.len()), (4, 4 * 9_900, 0));

    let bulk = start(&world, BulkAction::ChargeInvoices, &all, (Some(4), Some("form-1"))).await.unwrap();
    let again = start(&world, BulkAction::ChargeInvoices, &all, (Some(4), Some("form-1"))).await.unwrap();
    assert_eq!(bulk.id, again.id);
    world.run_due_jobs().await;
    assert_eq!(progress(&world, bulk.id).await, ("finished".to_owned(), 4, 0));
    assert_eq!(audit_rows(&world, bulk.id).await, 4);
    assert_eq!(net_of_all(&world, &ids).await, before + 4 * 9_900);
    let nothing = start(&world, BulkAction::ChargeInvoices, &all, (None, None)).await;
    assert!(matches!(nothing, Err(BulkError::NothingToDo)), "{nothing:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_done_is_left_out_with_its_reason(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = with_invoices_on_hold(&mut world, 3).await;
    sqlx::query("update subscriptions set status = 'past_due' where id = $1")
        .bind(ids[0])
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query("update subscriptions set status = 'suspended', suspended_at = now() where id = $1")
        .bind(ids[0])
        .execute(&world.pool)
        .await
        .unwrap();
    let mut conn = world.pool.acquire().await.unwrap();
    let all = BulkFilter::default();
    let charge = dry_run_bulk(&mut conn, BulkAction::ChargeInvoices, &all).await.unwrap();
    assert_eq!((charge.total, charge.left_out[0].count), (2, 1));
    assert_eq!(charge.left_out[0].why_not.as_deref(), Some("suspended"));
    let forgive = dry_run_bulk(&mut conn, BulkAction::ForgiveInvoices, &all).await.unwrap();
    assert_eq!((forgive.total, forgive.left_out.len()), (3, 0));
    let late = BulkFilter { until: Some(world.now() - chrono::TimeDelta::days(1)), ..all.clone() };
    assert_eq!(dry_run_bulk(&mut conn, BulkAction::ForgiveInvoices, &late).await.unwrap().total, 0);
    let changed = start(&world, BulkAction::ChargeInvoices, &all, (Some(3), None)).await;
    assert!(matches!(changed, Err(BulkError::Changed { seen: 3, now: 2 })), "{changed:?}");
    let bulk = start(&world, BulkAction::ForgiveInvoices, &all, (Some(3), None)).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(progress(&world, bulk.id).await, ("finished".to_owned(), 3, 0));
    assert_eq!(net_of_all(&world, &ids).await, 3 * 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_item_settled_meanwhile_is_skipped_and_stops_no_other(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = with_invoices_on_hold(&mut world, 3).await;
    let bulk = start(&world, BulkAction::ChargeInvoices, &BulkFilter::default(), (None, None)).await.unwrap();
    let held = world.unsettled_invoices(ids[1]).await[0].id;
    let mut conn = world.pool.acquire().await.unwrap();
    world.acting("lee").perform(&mut conn, &Action::ForgiveInvoice(held), &reason("goodwill")).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(progress(&world, bulk.id).await, ("finished".to_owned(), 2, 1));
    let skipped = bulk_actions::skipped_items(&mut conn, bulk.id, 0, 10).await.unwrap();
    assert_eq!(skipped[0].target_id, held.to_string());
    assert!(skipped[0].note.contains("does not wait for an operator"), "{}", skipped[0].note);
    assert_eq!(audit_rows(&world, bulk.id).await, 2);
    assert_eq!(net_of_all(&world, &ids).await, (3 * 2 + 2) * 9_900);
}

/// Each step is one transaction: a death before its commit leaves the item to do, and after it nothing is done again.
#[sqlx::test(migrations = "../migrations")]
async fn a_death_at_any_item_loses_and_repeats_nothing(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = with_invoices_on_hold(&mut world, 4).await;
    let bulk = start(&world, BulkAction::ChargeInvoices, &BulkFilter::default(), (None, None)).await.unwrap();
    let acting = world.acting("kim@example.com");
    for commits in [false, true, false, true] {
        let mut tx = world.pool.begin().await.unwrap();
        let step = do_next_item(&mut tx, &acting.brand, (&bulk, &acting.actor), world.now()).await.unwrap();
        assert_eq!(step, BulkStep::Done);
        if commits { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
    assert_eq!(progress(&world, bulk.id).await, ("running".to_owned(), 2, 0));
    // The job is lost as well: the sweep makes another.
    sqlx::query("delete from jobs where kind = 'run-bulk-action'").execute(&world.pool).await.unwrap();
    world.advance(chrono::TimeDelta::minutes(3));
    world.settle().await;
    assert_eq!(progress(&world, bulk.id).await, ("finished".to_owned(), 4, 0));
    assert_eq!(audit_rows(&world, bulk.id).await, 4);
    assert_eq!(net_of_all(&world, &ids).await, 4 * 3 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bulk_action_that_is_stopped_begins_no_further_item(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = with_invoices_on_hold(&mut world, 3).await;
    let bulk = start(&world, BulkAction::ChargeInvoices, &BulkFilter::default(), (None, None)).await.unwrap();
    let acting = world.acting("kim@example.com");
    let mut tx = world.pool.begin().await.unwrap();
    do_next_item(&mut tx, &acting.brand, (&bulk, &acting.actor), world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut conn = world.pool.acquire().await.unwrap();
    stop_bulk(&mut conn, bulk.id, &acting.actor, world.now()).await.unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    let step = do_next_item(&mut tx, &acting.brand, (&bulk, &acting.actor), world.now()).await.unwrap();
    assert_eq!(step, BulkStep::Over);
    tx.rollback().await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(progress(&world, bulk.id).await, ("stopped".to_owned(), 1, 0));
    let twice = stop_bulk(&mut conn, bulk.id, &acting.actor, world.now()).await;
    assert!(matches!(twice, Err(BulkError::Ended)), "{twice:?}");
    assert_eq!(audit_rows(&world, bulk.id).await, 1);
    assert_eq!(net_of_all(&world, &ids).await, (3 * 2 + 1) * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_that_failed_with_one_error_are_retried_together(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let sql = "insert into jobs (kind, args, state, run_at, due_at, max_attempts, last_error, created_at, finished_at)
               select 'send-email', jsonb_build_object('emailId', gen_random_uuid(), 'subscriptionId', gen_random_uuid()),
                      'failed', $1, now(), 1, case when n % 2 = 0 then 'no answer to mail ' || n else 'mailbox full' end, $1, $1
                 from generate_series(1, 10) as n";
    sqlx::query(sql).bind(world.now()).execute(&world.pool).await.unwrap();
    let filter = BulkFilter {
        kind: Some("send-email".to_owned()),
        state: Some("failed".to_owned()),
        error_group: Some("no answer to mail #".to_owned()),
        ..BulkFilter::default()
    };
    let bulk = start(&world, BulkAction::RetryJobs, &filter, (Some(5), None)).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(progress(&world, bulk.id).await, ("finished".to_owned(), 5, 0));
    let retried: i64 =
        sqlx::query_scalar("select count(*) from jobs where state = 'failed' and next_id is not null")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(retried, 5);
    let other = BulkFilter { error_group: Some("mailbox full".to_owned()), ..filter };
    let bulk = start(&world, BulkAction::DiscardJobs, &other, (None, None)).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(progress(&world, bulk.id).await, ("finished".to_owned(), 5, 0));
    assert_eq!(audit_rows(&world, bulk.id).await, 5);
}
