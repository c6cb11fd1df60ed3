//! What no statement may do about new prices: each fence is tried with plain SQL.

use common::domain::calendar::Cycle;
use sqlx::PgPool;
use uuid::Uuid;

use crate::fences::{refused, run};
use crate::prices::{monthly, reprice};
use crate::requests::consent;
use crate::world::World;

const PRICE: &str =
    "insert into price_changes (id, plan, cycle, old_amount, new_amount, effective_from, reprices_plan, requested_by,
                                reason, created_at)
     values (gen_random_uuid(), 'personal', 'monthly', 9900, 12900, '2026-12-23', true, 'x', 'x',
             '2026-11-22T10:00:00+09:00')";
const CHANGE: &str =
    "insert into plan_changes (id, subscription_id, price_change_id, from_plan, from_cycle, from_amount, to_plan,
                               to_cycle, to_amount, effective_no, effective_on, requested_by, created_at)
     select gen_random_uuid(), s.id, p.id, s.plan, s.billing_cycle, s.amount, 'personal', 'monthly', 12900, 2,
            '2027-01-22', 'x', now()
       from subscriptions s, price_changes p where p.withdrawn_at is null and p.closed_at is null";

async fn priced(pool: PgPool) -> (World, Uuid) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    run(&world, PRICE).await.unwrap();
    (world, id)
}

fn with(sql: &'static str, old: &str, new: &str) -> &'static str {
    assert!(sql.contains(old), "{old}");
    sql.replacen(old, new, 1).leak()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plan_change_has_the_terms_of_its_price_change(pool: PgPool) {
    let (world, id) = priced(pool).await;
    let very = "plan_changes_of_the_very_price";
    refused(&world, with(CHANGE, "12900", "12901"), very).await;
    refused(&world, with(CHANGE, "12900", "12899"), very).await;
    let other_plan = with(CHANGE, "'personal', 'monthly'", "'pro', 'monthly'");
    refused(&world, other_plan, "plan_changes_price_of_its_own_plan").await;
    let other_cycle = with(CHANGE, "'personal', 'monthly'", "'personal', 'yearly'");
    refused(&world, other_cycle, "plan_changes_price_of_its_own_plan").await;
    refused(&world, with(CHANGE, "p.id", "gen_random_uuid()"), very).await;
    refused(&world, with(CHANGE, "2027-01-22", "2026-12-22"), "plan_changes_not_before_the_price").await;
    run(&world, CHANGE).await.unwrap();
    refused(&world, CHANGE, "plan_changes_one_new_price").await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_price_change_begins_from_the_standing_price(pool: PgPool) {
    let (world, id) = priced(pool).await;
    run(&world, "update subscriptions set amount = 7900").await.unwrap();
    refused(&world, CHANGE, "plan_changes_from_the_old_price").await;
    let of_its_own = with(with(PRICE, "9900", "7900"), "'personal', 'monthly'", "'personal', 'yearly'");
    run(&world, of_its_own).await.unwrap();
    let withdrawn = "update price_changes set withdrawn_at = '2026-12-22T23:59:59+09:00', withdrawn_by = 'x', withdrawal = 'x'
                      where cycle = 'monthly'";
    run(&world, withdrawn).await.unwrap();
    let to_it = with(CHANGE, "p.withdrawn_at is null and p.closed_at is null", "p.cycle = 'monthly'");
    refused(&world, to_it, "plan_changes_price_stands").await;
    refused(&world, with(withdrawn, "'x'", "'y'"), "price_changes_append_only").await;
    run(&world, PRICE).await.unwrap();
    run(&world, "update price_changes set closed_at = now() where withdrawn_at is null").await.unwrap();
    let to_it = with(
        CHANGE,
        "p.withdrawn_at is null and p.closed_at is null",
        "p.cycle = 'monthly' and p.withdrawn_at is null",
    );
    refused(&world, to_it, "plan_changes_price_stands").await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_price_change_is_the_only_open_one_and_never_rewritten(pool: PgPool) {
    let (world, id) = priced(pool).await;
    refused(&world, PRICE, "price_changes_one_open").await;
    let yearly = with(PRICE, "'personal', 'monthly'", "'personal', 'yearly'");
    refused(&world, with(yearly, "2026-12-23", "2026-12-22"), "price_changes_time_to_ask").await;
    refused(&world, with(yearly, "12900, '2026-12-23", "7900, '2026-11-21"), "price_changes_not_in_the_past")
        .await;
    refused(&world, with(yearly, "12900", "9900"), "price_changes_amounts_differ").await;
    refused(&world, with(yearly, "12900", "99"), "price_changes_amounts_chargeable").await;
    refused(&world, with(yearly, "'x', 'x',", "'x', ' ',"), "price_changes_says_why").await;
    run(&world, with(yearly, "12900, '2026-12-23", "7900, '2026-11-22")).await.unwrap();
    for sql in [
        "update price_changes set new_amount = 9901",
        "update price_changes set effective_from = '2027-02-01'",
        "update price_changes set reason = 'y'",
        "delete from price_changes",
    ] {
        refused(&world, sql, "price_changes_append_only").await;
    }
    refused(
        &world,
        "update price_changes set withdrawn_at = '2026-12-23T00:00:00+09:00', withdrawn_by = 'x', withdrawal = 'x'",
        "price_changes_withdrawn_before_it_holds",
    )
    .await;
    refused(
        &world,
        "update price_changes set withdrawn_at = '2026-11-22T12:00:00+09:00'",
        "price_changes_withdrawal_says_who_and_why",
    )
    .await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_amount_needs_a_consent_and_no_withdrawal(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    reprice(&world, monthly(12_900, "2026-12-23")).await.unwrap();
    let raise = "update subscriptions set amount = 12900, updated_at = '2027-01-22T02:00:00+09:00'";
    let invoice =
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select gen_random_uuid(), id, 2, '2027-01-22', '2027-02-22', '2027-01-22', 12900, now() from subscriptions";
    refused(&world, raise, "subscriptions_raise_consented").await;
    refused(&world, invoice, "invoices_terms_decided").await;
    world.set_clock("2026-12-22T10:00:00+09:00");
    assert!(consent(&world, id).await.is_err(), "31 days before");
    world.set_clock("2026-12-23T10:00:00+09:00");
    consent(&world, id).await.unwrap();
    refused(&world, with(raise, "12900", "12901"), "subscriptions_raise_consented").await;
    run(&world, raise).await.unwrap();
    run(&world, "update price_changes set withdrawn_at = '2026-12-22T12:00:00+09:00', withdrawn_by = 'x', withdrawal = 'x'")
        .await
        .unwrap();
    refused(
        &world,
        "update plan_changes set status = 'applied', settled_at = now()",
        "plan_changes_price_stands",
    )
    .await;
    assert_eq!(world.net(id).await, 9_900);
}
