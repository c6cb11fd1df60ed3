//! The database refuses what must not happen, whoever asks: each fence is tried with plain SQL.

use common::domain::calendar::Cycle;
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::World;

/// A subscription with a paid first period and an open invoice for the next.
async fn fenced(pool: PgPool) -> (World, Uuid) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    run(
        &world,
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select gen_random_uuid(), id, 1, '2026-12-22', '2027-01-22', '2026-12-22', 9900, now() from subscriptions",
    )
    .await
    .unwrap();
    (world, id)
}

pub(crate) async fn run(world: &World, sql: &'static str) -> Result<u64, String> {
    match sqlx::raw_sql(sql).execute(&world.pool).await {
        Ok(done) => Ok(done.rows_affected()),
        Err(sqlx::Error::Database(error)) => Err(error.constraint().unwrap_or("no constraint").to_owned()),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn refused(world: &World, sql: &'static str, fence: &str) {
    assert_eq!(run(world, sql).await, Err(fence.to_owned()), "{sql}");
}

const ATTEMPT: &str = "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                              idempotency_key, amount, created_at)
    select gen_random_uuid(), s.user_id, s.id, i.id, 'renewal', 1, 'AUTO_fence_1', gen_random_uuid(), i.amount, now()
      from invoices i join subscriptions s on s.id = i.subscription_id where i.period_no = 1";

#[sqlx::test(migrations = "../migrations")]
async fn one_invoice_a_period_and_never_above_what_was_agreed(pool: PgPool) {
    let (world, id) = fenced(pool).await;
    refused(
        &world,
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select gen_random_uuid(), id, 1, '2026-12-23', '2027-01-22', '2026-12-22', 9900, now() from subscriptions",
        "invoices_one_per_period",
    )
    .await;
    refused(
        &world,
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select gen_random_uuid(), id, 2, '2026-12-22', '2027-01-22', '2026-12-22', 9900, now() from subscriptions",
        "invoices_one_per_start",
    )
    .await;
    refused(&world, "update invoices set amount = 9901 where period_no = 1", "invoices_amount_agreed").await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invoice_has_one_unfinished_payment_of_its_amount(pool: PgPool) {
    let (world, id) = fenced(pool).await;
    run(&world, ATTEMPT).await.unwrap();
    refused(
        &world,
        "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, idempotency_key, amount, created_at)
         select gen_random_uuid(), user_id, subscription_id, invoice_id, kind, 2, 'AUTO_fence_2', gen_random_uuid(), amount, now()
           from payments where order_id = 'AUTO_fence_1'",
        "payments_one_unfinished_per_invoice",
    )
    .await;
    refused(
        &world,
        "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, idempotency_key, amount, created_at)
         select gen_random_uuid(), user_id, subscription_id, invoice_id, kind, 2, order_id, gen_random_uuid(), amount, now()
           from payments where order_id = 'AUTO_fence_1'",
        "payments_order_id_key",
    )
    .await;
    refused(
        &world,
        "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, idempotency_key, amount, created_at)
         select gen_random_uuid(), user_id, subscription_id, invoice_id, 'first', 2, 'AUTO_fence_3', gen_random_uuid(), amount, now()
           from payments where order_id = 'AUTO_fence_1'",
        "payments_first_order_is_not_ours",
    )
    .await;
    refused(
        &world,
        "update payments set amount = 100 where order_id = 'AUTO_fence_1'",
        "payments_attempt_fixed",
    )
    .await;
    refused(
        &world,
        "update payments set order_id = 'AUTO_fence_9' where order_id = 'AUTO_fence_1'",
        "payments_attempt_fixed",
    )
    .await;
    refused(
        &world,
        "update payments set status = 'completed', settled_at = now() where order_id = 'AUTO_fence_1'",
        "payments_captured_is_proven",
    )
    .await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invoice_is_paid_once_and_a_settled_payment_is_final(pool: PgPool) {
    let (world, id) = fenced(pool).await;
    refused(
        &world,
        "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key, idempotency_key,
                               amount, status, paid_at, created_at, settled_at)
         select gen_random_uuid(), user_id, subscription_id, invoice_id, kind, 2, 'ORDER_fence_3', 'another', gen_random_uuid(),
                amount, 'completed', now(), now(), now() from payments where status = 'completed'",
        "payments_paid_at_most_once",
    )
    .await;
    for sql in [
        "update payments set status = 'failed' where status = 'completed'",
        "update payments set status = 'unknown', settled_at = null where status = 'completed'",
        "update payments set status = 'pending', settled_at = null where status = 'completed'",
    ] {
        refused(&world, sql, "payments_legal_transition").await;
    }
    refused(
        &world,
        "update payments set payment_key = 'another' where status = 'completed'",
        "payments_attempt_fixed",
    )
    .await;
    refused(
        &world,
        "update invoices set status = 'open', paid_at = null where period_no = 0",
        "invoices_legal_transition",
    )
    .await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn no_more_goes_back_than_was_captured_and_only_once_at_a_time(pool: PgPool) {
    let (world, id) = fenced(pool).await;
    refused(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
         select gen_random_uuid(), id, 9901, 'x', 'x', 'a', gen_random_uuid(), now() from payments",
        "refunds_at_most_captured",
    )
    .await;
    run(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
         select gen_random_uuid(), id, 5000, 'x', 'x', 'a', gen_random_uuid(), now() from payments",
    )
    .await
    .unwrap();
    refused(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
         select gen_random_uuid(), id, 4900, 'x', 'x', 'b', gen_random_uuid(), now() from payments",
        "refunds_one_unfinished_per_payment",
    )
    .await;
    run(&world, "update refunds set status = 'completed', settled_at = now()").await.unwrap();
    refused(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
         select gen_random_uuid(), id, 4901, 'x', 'x', 'c', gen_random_uuid(), now() from payments",
        "refunds_at_most_captured",
    )
    .await;
    run(&world, ATTEMPT).await.unwrap();
    refused(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
         select gen_random_uuid(), id, 100, 'x', 'x', 'd', gen_random_uuid(), now() from payments where order_id = 'AUTO_fence_1'",
        "refunds_of_captured_money",
    )
    .await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_follows_the_rules_and_its_audit_log_stands(pool: PgPool) {
    let (world, id) = fenced(pool).await;
    refused(
        &world,
        "update subscriptions set status = 'suspended', suspended_at = now()",
        "subscriptions_legal_transition",
    )
    .await;
    refused(&world, "update subscriptions set status = 'incomplete'", "subscriptions_legal_transition").await;
    refused(&world, "update subscriptions set status = 'canceled'", "subscriptions_canceled_has_time").await;
    refused(&world, "update subscription_events set why = 'other'", "subscription_events_append_only").await;
    refused(&world, "delete from subscription_events", "subscription_events_append_only").await;
    assert_eq!(world.net(id).await, 9_900);
}
