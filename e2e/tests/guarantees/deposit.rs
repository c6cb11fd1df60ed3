//! Payments that are not final at once: a virtual account that waits for its deposit, and statuses that nobody knows yet.

use chrono::TimeDelta;
use common::commands::confirm::{ConfirmError, Confirmation, record_confirmation};
use common::commands::refund;
use common::commands::refund::{RefundError, request_refund};
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use common::domain::subscription::SubscriptionStatus;
use sandbox::{OverdueDeposit, Purchase};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{postman::deliver, world::World};

/// A buyer who chose to pay by deposit within a day, and whose confirmation is recorded.
async fn ordered(world: &World) -> (Confirmation, Uuid) {
    let order = Purchase::new("ORDER_1", 9_900).by_virtual_account(24);
    let user_id = Uuid::from_u128(1);
    let open = world.sandbox.pay(order.customer(&user_id.to_string())).unwrap();
    let asked = Confirmation {
        user_id,
        payment_key: open.payment_key,
        order_id: "ORDER_1".to_owned(),
        amount: Won::new(9_900).unwrap(),
        plan: "personal".to_owned(),
        cycle: Cycle::Monthly,
        customer_key: user_id.to_string(),
        customer_email: "user@example.com".to_owned(),
        customer_name: "홍길동".to_owned(),
    };
    let id = confirm(world, &asked).await.unwrap();
    world.run_due_jobs().await;
    (asked, id)
}

async fn confirm(world: &World, asked: &Confirmation) -> Result<Uuid, ConfirmError> {
    let mut tx = world.pool.begin().await.unwrap();
    let attempt = record_confirmation(&mut tx, asked, world.now()).await?;
    tx.commit().await.unwrap();
    Ok(attempt.subscription_id)
}

async fn open_discrepancies(world: &World) -> Vec<String> {
    let open = "select kind from discrepancies where resolved_at is null";
    sqlx::query_scalar(open).fetch_all(&world.pool).await.unwrap()
}

async fn hours_pass(world: &mut World, hours: i64) {
    for _ in 0..hours {
        world.advance(TimeDelta::hours(1));
        world.settle().await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deposit_is_waited_for_and_begins_the_subscription(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (asked, id) = ordered(&world).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Incomplete, vec!["unknown".to_owned()])
    );
    let email = world.emails().pop().unwrap();
    assert_eq!(email.subject, "집체크 입금 안내");
    for part in ["우리은행", "계좌번호", "예금주", "9,900원", "2026년 11월 23일"] {
        assert!(email.text.contains(part), "{part}: {}", email.text);
    }
    assert_eq!(confirm(&world, &asked).await.unwrap(), id, "the same order again is the same payment");

    hours_pass(&mut world, 20).await;
    assert_eq!(world.emails().len(), 1);
    world.sandbox.deposit("ORDER_1").unwrap();
    hours_pass(&mut world, 1).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Active, vec!["completed".to_owned()])
    );
    assert_eq!(history.subscription.anchor_on, "2026-11-23".parse().unwrap(), "it begins with the deposit");
    assert!(world.subjects().contains(&"집체크 결제 카드 등록 안내".to_owned()), "the account pays once");
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_without_a_deposit_ends_after_its_due_date(pool: PgPool) {
    for overdue in [OverdueDeposit::Expired, OverdueDeposit::Canceled, OverdueDeposit::Waiting] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        world.sandbox.set_switches(|switches| switches.overdue_deposit = overdue);
        let (_, id) = ordered(&world).await;
        hours_pass(&mut world, 25).await;
        let history = world.history(id).await;
        assert_eq!(
            (history.status(), history.statuses()),
            (SubscriptionStatus::Canceled, vec!["failed".to_owned()])
        );
        assert_eq!(history.payments[0].toss_code.as_deref(), Some("DEPOSIT_NOT_MADE"), "{overdue:?}");
        assert_eq!(world.subjects(), ["집체크 입금 안내", "집체크 구독 신청 취소 안내"], "{overdue:?}");
        assert_eq!(world.net(id).await, 0);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deposit_after_the_end_is_an_operators_to_give_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (_, id) = ordered(&world).await;
    hours_pass(&mut world, 26).await;
    world.sandbox.deposit("ORDER_1").unwrap();
    assert!(deliver(&world, &world.sandbox.webhooks().pop().unwrap()).await);
    assert_eq!(open_discrepancies(&world).await, ["capture_known_as_failed"]);
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Canceled);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_callback_brings_the_deposit_forward(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (_, id) = ordered(&world).await;
    world.sandbox.deposit("ORDER_1").unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete, "nobody has asked Toss yet");
    assert!(deliver(&world, &world.sandbox.webhooks().pop().unwrap()).await);
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_closes_the_account_before_anybody_pays(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (_, id) = ordered(&world).await;
    world.cancel(id).await;
    world.run_due_jobs().await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Canceled, vec!["failed".to_owned()])
    );
    assert!(world.unsettled_invoices(id).await.is_empty());
    assert!(world.sandbox.deposit("ORDER_1").is_err(), "the account takes nothing any more");
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deposit_that_meets_a_cancel_needs_a_bank_account(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (_, id) = ordered(&world).await;
    world.sandbox.deposit("ORDER_1").unwrap();
    world.cancel(id).await;
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["completed"]);
    let failed = "select toss_message from refunds where status = 'failed'";
    let why: String = sqlx::query_scalar(failed).fetch_one(&world.pool).await.unwrap();
    assert!(why.contains("Toss's dashboard"), "{why}");

    let payment = world.history(id).await.payments[0].clone();
    let mut conn = world.pool.acquire().await.unwrap();
    let wish = refund::RefundRequest {
        payment_id: payment.id,
        amount: None,
        reason: "구독 취소",
        key: None,
        actor: "operator:kim@example.com",
    };
    let refused = request_refund(&mut conn, wish, world.now()).await;
    assert!(matches!(refused, Err(RefundError::NeedsBankAccount)), "{refused:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_purchase_waits_for_the_first_to_end(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (asked, id) = ordered(&world).await;
    let second = Confirmation { order_id: "ORDER_2".to_owned(), payment_key: "another".to_owned(), ..asked };
    let refused = confirm(&world, &second).await;
    assert!(matches!(refused, Err(ConfirmError::AlreadySubscribed(held)) if held.subscription_id == id));
    world.cancel(id).await;
    world.run_due_jobs().await;
    assert_ne!(confirm(&world, &second).await.unwrap(), id);
}
