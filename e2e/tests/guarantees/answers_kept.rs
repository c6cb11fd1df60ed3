//! An answer of Toss is never dropped because of an error of the database, whatever its SQLSTATE.

use std::time::Duration;

use chrono::TimeDelta;
use common::domain::calendar::Cycle;
use common::domain::payment::PaymentStatus;
use common::domain::registration::RegistrationStatus;
use common::domain::subscription::SubscriptionStatus;
use sandbox::{LedgerQuery, Operation};
use sqlx::PgPool;

use crate::card_window::{OTHER, new_card};
use crate::postman::{ask_for_refund, booked};
use crate::world::World;

/// From now on the database fails to write such rows of this table. A sequence counts the tries: no rollback undoes that.
async fn break_table(pool: &PgPool, table: &str, when: &str, sqlstate: &str) {
    let statements = [
        "create sequence tries".to_owned(),
        format!(
            "create function fail() returns trigger language plpgsql as $$ begin
                 perform nextval('tries');
                 raise exception 'broken' using errcode = '{sqlstate}';
             end $$"
        ),
        format!(
            "create trigger fail before update on {table} for each row when ({when}) execute function fail()"
        ),
    ];
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.unwrap();
    }
}

async fn mend_table(pool: &PgPool) {
    for statement in ["drop function fail cascade", "drop sequence tries"] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
}

async fn tries(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select case when is_called then last_value else 0 end from tries")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Mends the table once three tries have failed.
async fn mend_after_three_tries(pool: PgPool) {
    while tries(&pool).await < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    mend_table(&pool).await;
}

fn asked(world: &World, operation: Operation) -> u64 {
    world.sandbox.ledger(&LedgerQuery::default()).asked(operation)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charges_answer_outlives_any_error_of_the_database(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    // Data corrupted: no error that any list calls temporary.
    break_table(&pool, "payments", "new.status = 'completed'", "XX001").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    tokio::join!(world.settle(), mend_after_three_tries(pool.clone()));
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!((asked(&world, Operation::Charge), asked(&world, Operation::Lookup)), (1, 0));
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refunds_answer_outlives_a_lost_privilege(pool: PgPool) {
    let world = World::on(pool.clone(), "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    ask_for_refund(&world, id, 9_900).await;
    break_table(&pool, "refunds", "new.status = 'completed'", "42501").await;
    tokio::join!(world.run_due_jobs(), mend_after_three_tries(pool.clone()));
    assert_eq!(booked(&world).await, [(9_900, "operator:kim".to_owned(), "completed".to_owned())]);
    assert_eq!((asked(&world, Operation::Cancel), world.net(id).await), (1, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_registered_cards_key_outlives_an_internal_error(pool: PgPool) {
    let world = World::on(pool.clone(), "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    break_table(&pool, "card_registrations", "new.status = 'issued'", "XX000").await;
    let (card, ()) = tokio::join!(new_card(&world, id, OTHER), mend_after_three_tries(pool.clone()));
    assert_eq!(card.status, RegistrationStatus::Applied);
    assert_eq!((asked(&world, Operation::Issue), world.net(id).await), (1, 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_that_a_fence_refuses_is_put_before_a_person(pool: PgPool) {
    let mut world = World::on(pool.clone(), "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    break_table(&pool, "payments", "new.status = 'completed'", "23514").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    let payment = world.history(id).await.payments[1].clone();
    assert_eq!((payment.status, payment.review_since.is_some()), (PaymentStatus::Unknown, true));
    let facts = payment.toss_message.unwrap();
    assert!(facts.contains("Toss says paid: payment key"), "{facts}");
    world.advance(TimeDelta::hours(2));
    world.settle().await;
    assert_eq!(asked(&world, Operation::Charge), 1, "nothing is sent again");

    mend_table(&pool).await;
    world.advance(TimeDelta::days(1));
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    assert_eq!((asked(&world, Operation::Charge), world.net(id).await), (1, 2 * 9_900));
}
