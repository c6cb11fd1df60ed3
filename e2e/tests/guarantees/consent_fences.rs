//! The agreed amount rises only by a consent to exactly that, in its time: each fence is tried with plain SQL.

use common::domain::calendar::Cycle;
use sqlx::PgPool;
use uuid::Uuid;

use crate::fences::{refused, run};
use crate::world::World;

const CHANGE: &str =
    "insert into plan_changes (id, subscription_id, from_plan, from_cycle, from_amount, to_plan, to_cycle, to_amount,
                               effective_no, effective_on, requested_by, created_at)
     select gen_random_uuid(), id, plan, billing_cycle, amount, 'pro', 'monthly', 19900, 1, '2026-12-22', 'x', now()
       from subscriptions";
const RAISE: &str =
    "update subscriptions set plan = 'pro', amount = 19900, updated_at = '2026-12-22T02:00:00+09:00'";
const INVOICE: &str =
    "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
     select gen_random_uuid(), id, 1, '2026-12-22', '2027-01-22', '2026-12-22', 19900, now() from subscriptions";
const CONSENT: &str =
    "insert into consents (id, plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount, effective_on,
                           shown_text, given_by, given_at)
     select gen_random_uuid(), id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on, 'x', 'x',
            '2026-12-21T23:59:59+09:00' from plan_changes where status = 'pending'";

async fn changing(pool: PgPool) -> (World, Uuid) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    run(&world, CHANGE).await.unwrap();
    (world, id)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_agreed_amount_rises_only_by_consent_on_its_day(pool: PgPool) {
    let (world, id) = changing(pool).await;
    refused(&world, RAISE, "subscriptions_raise_consented").await;
    refused(&world, INVOICE, "invoices_terms_decided").await;
    run(&world, CONSENT).await.unwrap();
    refused(
        &world,
        "update subscriptions set plan = 'pro', amount = 19901, updated_at = '2026-12-22T02:00:00+09:00'",
        "subscriptions_raise_consented",
    )
    .await;
    refused(
        &world,
        "update subscriptions set amount = 19900, updated_at = '2026-12-22T02:00:00+09:00'",
        "subscriptions_raise_consented",
    )
    .await;
    refused(
        &world,
        "update subscriptions set plan = 'pro', amount = 19900, updated_at = '2026-12-21T23:59:59+09:00'",
        "subscriptions_raise_consented",
    )
    .await;
    run(&world, RAISE).await.unwrap();
    run(&world, "update plan_changes set status = 'applied', settled_at = now()").await.unwrap();
    run(&world, INVOICE).await.unwrap();
    // Used up: the same consent raises nothing again.
    run(&world, "update subscriptions set plan = 'personal', amount = 9900").await.unwrap();
    refused(&world, RAISE, "subscriptions_raise_consented").await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_agreed_for_later_periods_waits_for_them(pool: PgPool) {
    let (world, id) = changing(pool).await;
    for sql in [CONSENT, RAISE, "update plan_changes set status = 'applied', settled_at = now()"] {
        run(&world, sql).await.unwrap();
    }
    refused(
        &world,
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select gen_random_uuid(), id, 9, '2026-12-21', '2026-12-22', '2026-12-21', 9901, now() from subscriptions",
        "invoices_amount_agreed",
    )
    .await;
    refused(&world, "update invoices set amount = 19900 where period_no = 0", "invoices_amount_agreed").await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_consent_is_to_one_change_and_never_rewritten(pool: PgPool) {
    let (world, id) = changing(pool).await;
    for (at, amount, fence) in [
        ("2026-11-21T23:59:59+09:00", "to_amount", "consents_within_30_days_before"),
        ("2026-12-22T00:00:00+09:00", "to_amount", "consents_within_30_days_before"),
        ("2026-12-01T00:00:00+09:00", "to_amount + 1", "consents_to_the_very_change"),
    ] {
        let sql = CONSENT
            .replace("2026-12-21T23:59:59+09:00", at)
            .replace("from_amount, to_amount,", &format!("from_amount, {amount},"));
        refused(&world, sql.leak(), fence).await;
    }
    run(&world, CONSENT).await.unwrap();
    refused(&world, CONSENT, "consents_one_per_change").await;
    refused(&world, "update consents set new_amount = 1", "consents_append_only").await;
    refused(&world, "delete from consents", "consents_append_only").await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_cannot_be_forged_or_rewritten(pool: PgPool) {
    let (world, id) = changing(pool).await;
    let forged = "plan_changes_as_the_subscription_is";
    refused(&world, CHANGE, "plan_changes_one_wish").await;
    refused(&world, CHANGE.replace("billing_cycle, amount,", "billing_cycle, 99000,").leak(), forged).await;
    let applied = CHANGE
        .replace("requested_by,", "requested_by, status, settled_at,")
        .replace("'x',", "'x', 'applied', now(),");
    refused(&world, applied.leak(), forged).await;
    refused(&world, "update plan_changes set status = 'applied', settled_at = now()", forged).await;
    refused(&world, "update plan_changes set to_amount = 9900", "plan_changes_append_only").await;
    run(&world, "update plan_changes set status = 'withdrawn', settled_at = now()").await.unwrap();
    refused(
        &world,
        "update plan_changes set status = 'pending', settled_at = null",
        "plan_changes_append_only",
    )
    .await;
    refused(&world, "delete from plan_changes", "plan_changes_append_only").await;
    assert_eq!(world.net(id).await, 9_900);
}
