//! A customer who buys twice pays once; and the newest address that a customer gave is the one that emails go to.

use common::commands::change_customer::{ChangeCustomerRequest, change_customer};
use common::commands::confirm::{ConfirmError, Confirmation, record_confirmation};
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use common::domain::purchase::NextAction;
use common::domain::subscription::{ResumeRefused, SubscriptionStatus};
use common::store::plans;
use sandbox::{LedgerQuery, Operation, Purchase};
use sqlx::PgPool;
use uuid::Uuid;

use crate::card_window::past_due;
use crate::world::{GOOD, World};

const PRICE: i32 = 9_900;

/// The customer of this subscription confirms another order.
async fn buy_again(world: &World, id: Uuid, order_id: &str) -> Result<Uuid, ConfirmError> {
    let held = world.history(id).await.subscription;
    let open = world
        .sandbox
        .pay(Purchase::new(order_id, PRICE.into()).card(GOOD).customer(&held.customer_key))
        .unwrap();
    let asked = Confirmation {
        user_id: held.user_id,
        payment_key: open.payment_key,
        order_id: order_id.to_owned(),
        amount: Won::new(PRICE.into()).unwrap(),
        plan: "personal".to_owned(),
        cycle: Cycle::Monthly,
        customer_key: held.customer_key,
        customer_email: "newest@example.com".to_owned(),
        customer_name: "홍길순".to_owned(),
    };
    let mut tx = world.pool.begin().await.unwrap();
    let recorded = record_confirmation(&mut tx, &asked, world.now()).await?;
    tx.commit().await.unwrap();
    Ok(recorded.subscription_id)
}

fn confirmations_asked(world: &World) -> u64 {
    world.sandbox.ledger(&LedgerQuery::default()).asked(Operation::Confirm)
}

/// The subscription in the way, and what its customer is told to do.
async fn refused(world: &World, id: Uuid, order_id: &str) -> Option<NextAction> {
    let before = confirmations_asked(world);
    let Err(ConfirmError::AlreadySubscribed(why)) = buy_again(world, id, order_id).await else {
        panic!("{order_id} was taken on")
    };
    world.run_due_jobs().await;
    assert_eq!(confirmations_asked(world), before, "nothing is sent to Toss");
    assert_eq!(why.subscription_id, id);
    why.next_action
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_purchase_is_refused_before_money_moves(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let unsettled = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    assert!(matches!(buy_again(&world, unsettled, "ORDER_2").await, Err(ConfirmError::AlreadySubscribed(_))));
    world.run_due_jobs().await;
    assert_eq!(refused(&world, unsettled, "ORDER_3").await, None);
    assert_eq!(confirmations_asked(&world), 1);
    world.live(40).await;
    assert_eq!(world.net(unsettled).await, 2 * i64::from(PRICE));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_in_dunning_is_pointed_to_a_new_card(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    assert_eq!(refused(&world, id, "ORDER_2").await, Some(NextAction::RegisterPaymentMethod));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_subscription_is_replaced_in_the_same_commit(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let old = past_due(&mut world).await;
    world.live(10).await;
    assert_eq!(world.history(old).await.status(), SubscriptionStatus::Suspended);
    world.card_now(old, "pays").await;
    let new = buy_again(&world, old, "ORDER_2").await.unwrap();
    assert_eq!(world.history(old).await.status(), SubscriptionStatus::Canceled);
    world.run_due_jobs().await;
    assert_eq!(world.history(new).await.status(), SubscriptionStatus::Active);
    assert!(world.unsettled_invoices(old).await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_one_with_paid_time_left_is_pointed_to_resume(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.cancel(id).await;
    assert_eq!(refused(&world, id, "ORDER_2").await, Some(NextAction::Resume));
    world.live_until("2026-12-23").await;
    let new = buy_again(&world, id, "ORDER_3").await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(new).await.status(), SubscriptionStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plan_marked_so_may_be_held_beside_others(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let mut conn = world.pool.acquire().await.unwrap();
    plans::set_held_beside_others(&mut conn, "personal", true).await.unwrap();
    let beside = buy_again(&world, id, "ORDER_2").await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(beside).await.status(), SubscriptionStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_schema_refuses_a_second_living_subscription(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let (a, b) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Yearly).await);
    let stolen =
        "update subscriptions set user_id = (select user_id from subscriptions where id = $1) where id = $2";
    let error = sqlx::query(stolen).bind(a).bind(b).execute(&world.pool).await.unwrap_err();
    let constraint = error.as_database_error().and_then(|error| error.constraint().map(str::to_owned));
    assert_eq!(constraint.as_deref(), Some("subscriptions_one_living_per_user"));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_later_email_goes_to_the_newest_address(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let user_id = world.history(id).await.subscription.user_id;
    let request =
        ChangeCustomerRequest { user_id, email: Some("new@example.com"), name: None, actor: "customer:test" };
    let mut tx = world.pool.begin().await.unwrap();
    for _ in 0..2 {
        let customer = change_customer(&mut tx, request, world.now()).await.unwrap();
        assert_eq!(customer.email.as_deref(), Some("new@example.com"));
        assert_eq!(customer.name.as_deref(), Some("홍길동"));
    }
    tx.commit().await.unwrap();
    let entries = "select count(*) from subscription_events where what = 'customer.changed'";
    let entries: i64 = sqlx::query_scalar(entries).fetch_one(&world.pool).await.unwrap();
    assert_eq!(entries, 1);
    world.live_until("2026-12-23").await;
    let addresses = "select distinct to_address from emails where created_at > $1";
    let changed_at: chrono::DateTime<chrono::Utc> = "2026-11-23T00:00:00Z".parse().unwrap();
    let addresses: Vec<String> =
        sqlx::query_scalar(addresses).bind(changed_at).fetch_all(&world.pool).await.unwrap();
    assert_eq!(addresses, ["new@example.com"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_taken_back_brings_the_held_period_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-20").await;
    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    let held = world.unsettled_invoices(id).await;
    assert_eq!(held.len(), 1);
    world.cancel(id).await;
    assert!(world.unsettled_invoices(id).await.is_empty());
    world.resume(id).await;
    assert_eq!(world.unsettled_invoices(id).await, held);
    world.live(3).await;
    assert_eq!(world.net(id).await, 2 * i64::from(PRICE));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_is_not_taken_back_beside_another_subscription(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.cancel(id).await;
    let user = world.history(id).await.subscription.user_id;
    let other = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    sqlx::query("update subscriptions set user_id = $1 where id = $2")
        .bind(user)
        .bind(other)
        .execute(&world.pool)
        .await
        .unwrap();
    world.live(1).await;
    assert_eq!(crate::resume::resume(&world, id).await, Err(ResumeRefused::AnotherSubscription));
}
