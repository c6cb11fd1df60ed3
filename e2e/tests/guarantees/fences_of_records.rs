//! What is written once stays one: names of payments, requests, cards, emails and events, tried with plain SQL.

use common::domain::calendar::Cycle;
use sqlx::{AssertSqlSafe, PgPool};

use crate::{fences::refused, world::World};

/// A subscription that is paid for, with a refund asked for and a email written.
async fn lived(pool: PgPool) -> World {
    let mut world = World::on(pool, "2026-11-22").await;
    world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-23").await;
    let wish = "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key,
                                     transaction_key, status, created_at, settled_at)
                select gen_random_uuid(), id, 100, 'x', 'x', 'wish', gen_random_uuid(), 'transaction', 'completed', now(), now()
                  from payments where order_id = 'ORDER_1'";
    sqlx::query(wish).execute(&world.pool).await.unwrap();
    world
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payment_of_toss_is_one_of_ours(pool: PgPool) {
    let world = lived(pool).await;
    let another = "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                   select gen_random_uuid(), id, 2, '2027-01-22', '2027-02-22', '2027-01-22', 9900, now() from subscriptions";
    sqlx::query(another).execute(&world.pool).await.unwrap();
    refused(
        &world,
        "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key,
                               idempotency_key, amount, status, paid_at, created_at, settled_at)
         select gen_random_uuid(), paid.user_id, paid.subscription_id, invoice.id, 'renewal', 1, 'AUTO_stolen', payment_key,
                gen_random_uuid(), paid.amount, 'completed', now(), now(), now()
           from payments paid join invoices invoice using (subscription_id)
          where paid.order_id = 'ORDER_1' and invoice.period_no = 2",
        "payments_payment_key_key",
    )
    .await;
    let attempt = |amount: &str, key: &str| {
        format!(
            "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, idempotency_key, amount, created_at)
             select gen_random_uuid(), paid.user_id, paid.subscription_id, invoice.id, 'renewal', 1, 'AUTO_next', {key}, {amount}, now()
               from payments paid join invoices invoice using (subscription_id)
              where paid.order_id = 'ORDER_1' and invoice.period_no = 2"
        )
    };
    for (amount, key, fence) in [
        ("9800", "gen_random_uuid()", "payments_amount_is_the_invoices"),
        ("9900", "paid.idempotency_key", "payments_idempotency_key_key"),
    ] {
        let refused =
            sqlx::raw_sql(AssertSqlSafe(attempt(amount, key))).execute(&world.pool).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().constraint(), Some(fence));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_request_and_a_refund_of_toss_are_recorded_once(pool: PgPool) {
    let world = lived(pool).await;
    refused(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
         select gen_random_uuid(), payment_id, 100, 'x', 'x', request_key, gen_random_uuid(), now() from refunds",
        "refunds_request_key_key",
    )
    .await;
    refused(
        &world,
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, transaction_key,
                              status, created_at, settled_at)
         select gen_random_uuid(), payment_id, 100, 'x', 'x', 'again', gen_random_uuid(), transaction_key, 'completed', now(), now()
           from refunds",
        "refunds_transaction_key_key",
    )
    .await;
    refused(
        &world,
        "update refunds set status = 'failed' where status = 'completed'",
        "refunds_legal_transition",
    )
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_one_time_key_is_one_registration_and_one_at_a_time(pool: PgPool) {
    let world = lived(pool).await;
    let register = "insert into card_registrations
                        (id, subscription_id, user_id, auth_key, auth_key_hash, customer_key, idempotency_key, created_at)
                    select gen_random_uuid(), id, user_id, 'k', 'one', customer_key, gen_random_uuid(), now() from subscriptions";
    sqlx::query(register).execute(&world.pool).await.unwrap();
    refused(&world, register, "card_registrations_auth_key_hash_key").await;
    refused(
        &world,
        "insert into card_registrations
             (id, subscription_id, user_id, auth_key, auth_key_hash, customer_key, idempotency_key, created_at)
         select gen_random_uuid(), id, user_id, 'k', 'two', customer_key, gen_random_uuid(), now() from subscriptions",
        "card_registrations_one_unfinished",
    )
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_fact_is_told_once_to_customer_and_application(pool: PgPool) {
    let world = lived(pool).await;
    refused(
        &world,
        "insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text,
                             message_id, created_at)
         select gen_random_uuid(), kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text,
                'another', now() from emails limit 1",
        "emails_unique_key_key",
    )
    .await;
    refused(
        &world,
        "insert into webhook_events_out (id, type, unique_key, subscription_id, body, created_at)
         select gen_random_uuid(), type, unique_key, subscription_id, body, now() from webhook_events_out limit 1",
        "webhook_events_out_unique_key_key",
    )
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_webhook_and_a_row_of_another_system_are_taken_once(pool: PgPool) {
    let world = lived(pool).await;
    let webhook = "insert into webhook_events_in (id, transmission_id, received_at, headers, body)
                   values (gen_random_uuid(), 'one', now(), '{}', '')";
    sqlx::query(webhook).execute(&world.pool).await.unwrap();
    refused(&world, webhook, "webhook_events_in_transmission_id_key").await;
    let (first, second) = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222");
    for id in [first, second] {
        let copy = "insert into subscriptions (id, user_id, plan, billing_cycle, customer_key, amount, customer_email, customer_name,
                                               anchor_on, current_period_start, current_period_end, next_billing_date, created_at, updated_at,
                                               may_be_held_beside_others)
                    select $1::uuid, user_id, plan, billing_cycle, customer_key, amount, customer_email, customer_name,
                           anchor_on, current_period_start, current_period_end, next_billing_date, now(), now(), true
                      from subscriptions limit 1";
        sqlx::query(copy).bind(id).execute(&world.pool).await.unwrap();
    }
    let brought = "insert into imported_subscriptions
                       (subscription_id, source, source_id, source_next_billing_date, charged_elsewhere_until, imported_at)
                   values ('11111111-1111-4111-8111-111111111111', 'file', '7', '2027-01-01', '2026-12-01', now())";
    sqlx::query(brought).execute(&world.pool).await.unwrap();
    refused(
        &world,
        "insert into imported_subscriptions
             (subscription_id, source, source_id, source_next_billing_date, charged_elsewhere_until, imported_at)
         values ('22222222-2222-4222-8222-222222222222', 'file', '7', '2027-01-01', '2026-12-01', now())",
        "imported_subscriptions_source_id_key",
    )
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_billed_period_does_not_move_and_is_held_or_released(pool: PgPool) {
    let world = lived(pool).await;
    refused(
        &world,
        "update invoices set period_end = period_end + 1 where period_no = 1",
        "invoices_period_fixed",
    )
    .await;
    refused(
        &world,
        "update invoices set held_since = now(), released_at = now() where period_no = 1",
        "invoices_held_or_released",
    )
    .await;
}
