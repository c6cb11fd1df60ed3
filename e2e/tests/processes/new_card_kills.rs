//! A worker dies by SIGKILL on any line of a card's way: one key is issued, what is open is paid once, the old key is deleted.

use chrono::TimeDelta;
use common::commands::register_card::NewCard;
use common::commands::subscribe::{Subscribing, subscribe};
use common::domain::calendar::Cycle;
use common::domain::subscription::SubscriptionStatus;
use sandbox::{CardRegistration, Operation};
use sqlx::PgPool;
use testing::until;
use uuid::Uuid;

use crate::books::Books;
use crate::kills::{Death, die};
use crate::system::System;

use Death::{At, DuringTheCall};

/// A subscription whose first renewal was declined; the worker that did it has stopped.
async fn past_due(system: &System) -> Uuid {
    let id = system.subscriber().await;
    system.sandbox.set_card("4300-0000-0000-0001", "REJECT_CARD_PAYMENT".to_owned().into());
    system.set_clock("2026-12-22", "02:00:01").await;
    let mut worker = system.worker().start();
    until("the decline", async || system.is(id, SubscriptionStatus::PastDue).await.then_some(())).await;
    system.quiet().await;
    worker.terminate();
    assert!(worker.end().await.success());
    id
}

/// The customer registers another card. No worker has seen it yet.
async fn new_card(system: &System, id: Uuid) {
    let mut tx = system.pool.begin().await.unwrap();
    let subscription = common::store::subscriptions::find(&mut tx, id).await.unwrap().unwrap();
    let card_number = Some("4330-1234-1234-1234".to_owned());
    let window = CardRegistration { customer_key: subscription.customer_key.clone(), card_number };
    let auth_key = system.sandbox.auth_key(window).unwrap();
    let card = NewCard {
        subscription_id: id,
        user_id: subscription.user_id,
        auth_key: &auth_key,
        customer_key: &subscription.customer_key,
    };
    common::commands::register_card::register_card(&mut tx, card, system.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_new_card_survives(pool: PgPool, death: Death, operation: Operation) {
    let system = System::on(pool, "2026-11-22").await;
    let id = past_due(&system).await;
    new_card(&system, id).await;
    die(&system, death, operation).await;
    let worker = system.worker().start();
    system
        .live_until("the card in force and the old key deleted", TimeDelta::minutes(15), async || {
            let ended: bool = sqlx::query_scalar(
                "select exists (select from card_registrations where status = 'applied')
                    and exists (select from billing_key_deletions where deleted_at is not null)",
            )
            .fetch_one(&system.pool)
            .await
            .unwrap();
            ended
        })
        .await;
    worker.kill().await;
    let books = system.books(id).await;
    assert_eq!((books.captures, books.net), (2, 2 * 9_900));
    assert_eq!(books.payments, ["completed", "failed", "completed"]);
    assert_eq!(books.invoices, ["paid", "paid"]);
    assert!(system.is(id, SubscriptionStatus::Active).await);
    let retired: i64 = sqlx::query_scalar("select count(*) from billing_key_deletions")
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(retired, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_before_the_key_is_asked_for(pool: PgPool) {
    a_new_card_survives(pool, At("after_registration_intent"), Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_while_the_key_is_being_issued(pool: PgPool) {
    a_new_card_survives(pool, DuringTheCall, Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_with_the_key_in_hand(pool: PgPool) {
    a_new_card_survives(pool, At("after_registration_call"), Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_with_the_key_sealed(pool: PgPool) {
    a_new_card_survives(pool, At("after_registration_key"), Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_before_the_proving_charge(pool: PgPool) {
    a_new_card_survives(pool, At("after_intent"), Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_during_the_proving_charge(pool: PgPool) {
    a_new_card_survives(pool, DuringTheCall, Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_with_the_charges_answer_in_hand(pool: PgPool) {
    a_new_card_survives(pool, At("after_call"), Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_before_the_charges_outcome_is_committed(pool: PgPool) {
    a_new_card_survives(pool, At("before_outcome_commit"), Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_after_the_charges_outcome_is_committed(pool: PgPool) {
    a_new_card_survives(pool, At("after_outcome"), Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_while_the_old_key_is_being_deleted(pool: PgPool) {
    a_new_card_survives(pool, DuringTheCall, Operation::Delete).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_with_the_deletions_answer_in_hand(pool: PgPool) {
    a_new_card_survives(pool, At("after_deletion_call"), Operation::Delete).await;
}

/// A customer subscribes with a registered card. No worker has seen it yet.
async fn subscribing(system: &System) -> Uuid {
    let user_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"customer");
    let window = CardRegistration { customer_key: user_id.to_string(), card_number: None };
    let asked = Subscribing {
        amount: None,
        user_id,
        auth_key: system.sandbox.auth_key(window).unwrap(),
        customer_key: user_id.to_string(),
        plan: "personal".to_owned(),
        cycle: Cycle::Monthly,
        customer_email: "user@example.com".to_owned(),
        customer_name: "홍길동".to_owned(),
    };
    let mut tx = system.pool.begin().await.unwrap();
    let recorded = subscribe(&mut tx, &asked, system.now()).await.unwrap();
    tx.commit().await.unwrap();
    recorded.subscription_id
}

async fn a_new_subscription_survives(pool: PgPool, death: Death, operation: Operation) {
    let system = System::on(pool, "2026-11-22").await;
    let id = subscribing(&system).await;
    die(&system, death, operation).await;
    let worker = system.worker().start();
    let begun = async || system.is(id, SubscriptionStatus::Active).await;
    system.live_until("the subscription begun", TimeDelta::minutes(15), begun).await;
    system.quiet().await;
    assert_eq!(system.books(id).await, Books::paid(1));
    worker.kill().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_killed_before_its_key_is_made_once(pool: PgPool) {
    a_new_subscription_survives(pool, At("after_registration_intent"), Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_killed_with_its_key_in_hand_is_made_once(pool: PgPool) {
    a_new_subscription_survives(pool, At("after_registration_call"), Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_killed_with_its_key_sealed_is_made_once(pool: PgPool) {
    a_new_subscription_survives(pool, At("after_registration_key"), Operation::Issue).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_killed_during_its_call_is_made_once(pool: PgPool) {
    a_new_subscription_survives(pool, DuringTheCall, Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_killed_with_the_answer_in_hand_is_made_once(pool: PgPool) {
    a_new_subscription_survives(pool, At("after_call"), Operation::Charge).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_killed_before_its_outcome_is_made_once(pool: PgPool) {
    a_new_subscription_survives(pool, At("before_outcome_commit"), Operation::Charge).await;
}
