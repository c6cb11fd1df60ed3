//! A customer is erased: nothing personal is left, the money rows are, and the card charges nothing any more.

use common::commands::erase_customer::{EraseError, Erased, erase_customer};
use common::domain::calendar::Cycle;
use common::domain::erasure::EraseRefused;
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::postman::{arrive, ask_for_refund, billing_key, refund_in_dashboard};
use crate::world::World;

async fn erase(world: &World, id: Uuid) -> Result<Erased, EraseError> {
    let user = world.history(id).await.subscription.user_id;
    let mut tx = world.pool.begin().await.unwrap();
    let erased = erase_customer(&mut tx, user, "operator:kim", world.now()).await?;
    tx.commit().await.unwrap();
    Ok(erased)
}

async fn refused(world: &World, id: Uuid) -> EraseRefused {
    match erase(world, id).await.unwrap_err() {
        EraseError::Refused(why) => why,
        other => panic!("{other}"),
    }
}

/// Every row of every table with this text in it.
async fn rows_with(world: &World, text: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        // Bytes are shown as hexadecimal digits.
        let sql = format!(
            "select '{table}: ' || t::text from {table} t
              where position($1 in t::text) > 0 or position(encode(convert_to($1, 'UTF8'), 'hex') in t::text) > 0"
        );
        let rows =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(text).fetch_all(&world.pool).await.unwrap();
        found.extend::<Vec<String>>(rows);
    }
    found
}

async fn money(world: &World) -> Vec<String> {
    let sql = "select p::text from payments p union all select r::text from refunds r
               union all select i::text from invoices i order by 1";
    sqlx::query_scalar(sql).fetch_all(&world.pool).await.unwrap()
}

/// Canceled with words of their own, and over.
async fn former_customer(world: &mut World) -> Uuid {
    let id = world.subscriber(Cycle::Monthly).await;
    let webhook = refund_in_dashboard(world, id, Some(1_000)).await;
    let body =
        webhook.body.replacen('{', r#"{"customerEmail":"user@example.com","customerName":"홍길동","#, 1);
    arrive(world, "whtrans_1", &body).await;
    world.run_due_jobs().await;
    world.cancel(id).await;
    world.live_until("2026-12-23").await;
    id
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_personal_is_left_in_any_table_and_every_money_row_is(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = former_customer(&mut world).await;
    let card = world.history(id).await.subscription.card_number.unwrap();
    let personal = ["user@example.com", "홍길동", "서비스 불만족", card.as_str()];
    for text in personal {
        assert!(!rows_with(&world, text).await.is_empty(), "{text} was never there");
    }
    let (before, net) = (money(&world).await, world.net(id).await);
    let key = billing_key(&world, id).await;
    let erased = erase(&world, id).await.unwrap();
    assert!(erased.changed && erased.emails > 1 && erased.diary_entries == 1, "{erased:?}");
    assert_eq!((erased.billing_keys, erased.webhooks), (1, 1));
    for text in personal {
        assert_eq!(rows_with(&world, text).await, Vec::<String>::new(), "{text}");
    }
    world.run_due_jobs().await;
    let sealed: i64 = sqlx::query_scalar(
        "select count(*) from billing_key_deletions where sealed_billing_key is not null or deleted_at is null",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((sealed, world.history(id).await.subscription.sealed_billing_key), (0, None));
    let gone = world.env.toss.delete_billing_key(&toss::BillingKey::new(key)).await;
    assert!(matches!(gone, toss::DeleteOutcome::Gone { .. }), "{gone:?}");
    assert_eq!((money(&world).await, world.net(id).await), (before, net));

    // Again: nothing is left to do, and nothing is written.
    let again = erase(&world, id).await.unwrap();
    assert!(!again.changed && again.emails == 0 && again.billing_keys == 0, "{again:?}");

    // What is found out later about the money is booked, and mailed to nobody.
    let emails = world.emails().len();
    let webhook = refund_in_dashboard(&world, id, Some(500)).await;
    crate::postman::deliver(&world, &webhook).await;
    assert_eq!((world.emails().len(), world.net(id).await), (emails, net - 500));
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_still_runs_or_has_money_in_flight_is_not_erased(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    assert_eq!(refused(&world, id).await, EraseRefused::Running(1));
    world.cancel(id).await;
    assert_eq!(
        refused(&world, id).await,
        EraseRefused::Running(1),
        "access runs on, and it could be resumed"
    );
    world.live_until("2026-12-23").await;
    ask_for_refund(&world, id, 1_000).await;
    assert_eq!(refused(&world, id).await, EraseRefused::RefundUnfinished);
    world.run_due_jobs().await;
    let webhook = refund_in_dashboard(&world, id, Some(500)).await;
    arrive(&world, "whtrans_9", &webhook.body).await;
    assert_eq!(refused(&world, id).await, EraseRefused::WebhookUnfinished);
    world.run_due_jobs().await;
    assert!(erase(&world, id).await.unwrap().changed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_whose_outcome_is_unknown_is_waited_for(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    world.cancel(id).await;
    sqlx::query("update subscriptions set ended_at = canceled_at").execute(&world.pool).await.unwrap();
    assert_eq!(refused(&world, id).await, EraseRefused::PaymentUnfinished);
    world.live(2).await;
    assert!(erase(&world, id).await.unwrap().changed);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_erasure_that_waits_blocks_no_write_about_the_customer(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = former_customer(&mut world).await;
    let user = world.history(id).await.subscription.user_id;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select from subscriptions where id = $1 for update")
        .bind(id)
        .execute(&mut *holder)
        .await
        .unwrap();
    let writing = async {
        let waits = "select exists (select from pg_stat_activity
                                     where datname = current_database() and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&world.pool).await.unwrap() {}
        // As a row does that names the user, such as an e-mail.
        let named = sqlx::query("select from users where id = $1 for key share");
        named.bind(user).execute(&mut *holder).await.unwrap();
        holder.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(erase(&world, id), writing);
    assert!(erased.unwrap().changed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_answer_of_the_deletion_is_asked_for_again(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = former_customer(&mut world).await;
    world.sandbox.fault(Fault::next(Operation::Delete, Effect::ApproveThenCut)).unwrap();
    erase(&world, id).await.unwrap();
    world.run_due_jobs().await;
    let waiting = "select count(*) from billing_key_deletions where deleted_at is null";
    let count: i64 = sqlx::query_scalar(waiting).fetch_one(&world.pool).await.unwrap();
    assert_eq!(count, 1);
    world.live(1).await;
    let count: i64 = sqlx::query_scalar(waiting).fetch_one(&world.pool).await.unwrap();
    assert_eq!(count, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_diary_lets_only_the_words_of_an_erased_customer_go(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = former_customer(&mut world).await;
    let attempts = [
        "update subscription_events set why = '(erased)' where actor like 'customer:%'",
        "update subscription_events set why = 'other' where actor like 'customer:%'",
        "update subscription_events set why = '(erased)' where actor = 'worker'",
        "update subscription_events set why = '(erased)', what = 'x' where actor like 'customer:%'",
        "delete from subscription_events",
    ];
    for erased in [false, true] {
        if erased {
            erase(&world, id).await.unwrap();
        }
        for attempt in attempts.iter().skip(usize::from(erased)) {
            let refused = sqlx::query(sqlx::AssertSqlSafe((*attempt).to_owned()))
                .execute(&world.pool)
                .await
                .unwrap_err();
            let constraint = refused.as_database_error().unwrap().constraint().map(str::to_owned);
            assert_eq!(constraint.as_deref(), Some("subscription_events_append_only"), "{attempt}");
        }
    }
}
