//! What happens when the bank charges, or does not, and its answer does not arrive.

use chrono::TimeDelta;
use common::commands::confirm::{Confirmation, record_confirmation};
use common::domain::calendar::Cycle;
use common::domain::payment::PaymentStatus;
use common::domain::subscription::SubscriptionStatus;
use sandbox::{AnswerTiming, Effect, FailedChargeLookup, Fault, Operation, Purchase};
use sqlx::PgPool;
use toss::{ChargeOutcome, ConfirmRequest, IdempotencyKey};
use uuid::Uuid;

use crate::world::{GOOD, NO_BALANCE, World};

/// Lives into the renewal, on which this happens to the charge; ends right after it.
pub(crate) async fn renewal_with(world: &mut World, effect: Effect) -> Uuid {
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.sandbox.fault(Fault::next(Operation::Charge, effect)).unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    id
}

async fn minutes(world: &mut World, minutes: u32) {
    for _ in 0..minutes {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_with_a_lost_answer_is_looked_up_not_repeated(pool: PgPool) {
    let hang = Effect::HangThenApprove { ms: 2_500, answer: AnswerTiming::Never };
    for (n, effect) in
        [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Garbage, hang].into_iter().enumerate()
    {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        sqlx::query("truncate users cascade").execute(&pool).await.unwrap();
        sqlx::query("truncate jobs").execute(&pool).await.unwrap();
        let id = renewal_with(&mut world, effect).await;
        assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"], "fault {n}");
        minutes(&mut world, 5).await;
        assert_eq!(world.history(id).await.statuses(), ["completed", "completed"], "fault {n}");
        assert_eq!(world.charges_asked(id).await, 1, "fault {n}");
        assert_eq!(world.net(id).await, 2 * 9_900, "fault {n}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_that_never_arrived_is_sent_again_under_its_name(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = renewal_with(&mut world, Effect::Error500NotApproved).await;
    minutes(&mut world, 8).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    assert_eq!(world.charges_asked(id).await, 1);
    minutes(&mut world, 6).await;
    let history = world.history(id).await;
    assert_eq!(history.statuses(), ["completed", "completed"]);
    assert_eq!(history.payments.len(), 2);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_whose_answer_is_lost_ends_paid_once(pool: PgPool) {
    for effect in [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Error500NotApproved] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let order = format!("ORDER_{effect:?}");
        let order: String = order.chars().filter(char::is_ascii_alphanumeric).collect();
        world.sandbox.fault(Fault::next(Operation::Confirm, effect)).unwrap();
        let id = world.order(&order, GOOD, "pro", Cycle::Monthly).await;
        world.run_due_jobs().await;
        assert_eq!(world.history(id).await.statuses(), ["unknown"]);
        minutes(&mut world, 5).await;
        assert_eq!(world.history(id).await.statuses(), ["completed"]);
        assert_eq!(world.net(id).await, 19_900);
    }
}

/// Codes that say neither yes nor no, which Toss repeats under the same key for 15 days.
#[sqlx::test(migrations = "../migrations")]
async fn an_unlisted_error_ends_within_the_hour_without_an_order(pool: PgPool) {
    for code in ["CARD_PROCESSING_ERROR", "DUPLICATED_ORDER_ID", "UNAUTHORIZED_KEY", "A_CODE_OF_TOMORROW"] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let error = Effect::Error { code: code.to_owned(), status: Some(400), message: None };
        let id = renewal_with(&mut world, error).await;
        minutes(&mut world, 100).await;
        assert_eq!(world.history(id).await.statuses(), ["completed", "completed"], "{code}");
        assert_eq!(world.net(id).await, 2 * 9_900, "{code}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paid_key_that_comes_with_another_order_takes_nothing(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    // Only a plan that may be held twice lets a second order get as far as Toss.
    sqlx::query("update plans set may_be_held_beside_others = true").execute(&world.pool).await.unwrap();
    let id = world.subscriber(Cycle::Monthly).await;
    let payment_key: String =
        sqlx::query_scalar("select payment_key from payments").fetch_one(&world.pool).await.unwrap();
    let subscription = world.history(id).await.subscription;
    let mut tx = world.pool.begin().await.unwrap();
    let asked = Confirmation {
        user_id: subscription.user_id,
        payment_key,
        order_id: "ORDER_AGAIN".to_owned(),
        amount: subscription.amount,
        plan: subscription.plan,
        cycle: subscription.cycle,
        customer_key: subscription.customer_key,
        customer_email: subscription.customer_email,
        customer_name: subscription.customer_name,
    };
    let again = record_confirmation(&mut tx, &asked, world.now()).await.unwrap().subscription_id;
    tx.commit().await.unwrap();
    minutes(&mut world, 30).await;
    let history = world.history(again).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Canceled, vec!["failed".to_owned()])
    );
    assert_eq!(history.payments[0].toss_code.as_deref(), Some("ALREADY_PROCESSED_PAYMENT"));
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_for_another_order_is_not_believed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = renewal_with(&mut world, Effect::AnswerWrongAmount).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    minutes(&mut world, 5).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_charge_stays_so_and_calls_a_person_after_a_day(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost = Fault::next(Operation::Lookup, Effect::Error500NotApproved).times(1_000_000);
    world.sandbox.fault(lost).unwrap();
    let id = renewal_with(&mut world, Effect::ApproveThenCut).await;
    world.live(3).await;
    let history = world.history(id).await;
    assert_eq!(history.statuses(), ["completed", "unknown"]);
    assert!(history.payments[1].review_since.is_some());
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 2 * 9_900);

    world.sandbox.clear_faults();
    world.live(2).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

/// Two windows were opened for one order, and Toss shows the one that was confirmed elsewhere and declined.
#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_is_settled_by_its_own_payment_only(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::Error500NotApproved)).unwrap();
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["unknown"]);
    let other = world.sandbox.pay(Purchase::new("ORDER_1", 9_900).card(NO_BALANCE)).unwrap();
    let (order_id, payment_key) = ("ORDER_1".to_owned(), other.payment_key);
    let confirm = ConfirmRequest { payment_key, order_id, amount: 9_900 };
    let declined = world.env.toss.confirm(&confirm, &IdempotencyKey::new("elsewhere").unwrap()).await;
    assert!(matches!(declined, ChargeOutcome::Declined(_)), "{declined:?}");
    minutes(&mut world, 5).await;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Active, vec!["completed".to_owned()])
    );
    assert_eq!(world.net(id).await, 9_900);
}

/// After "not sent" the same order goes out under another key: Toss may still show how the first sending ended.
#[sqlx::test(migrations = "../migrations")]
async fn an_earlier_sendings_end_is_not_taken_for_the_later_ones(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.set_switches(|switches| switches.failed_charge_lookup = FailedChargeLookup::Aborted);
    let broken = Effect::Error { code: "CARD_PROCESSING_ERROR".to_owned(), status: Some(400), message: None };
    let id = renewal_with(&mut world, broken).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::Error500NotApproved)).unwrap();
    while world.charges_asked(id).await < 2 {
        minutes(&mut world, 1).await;
    }
    minutes(&mut world, 5).await;
    let attempt = &world.history(id).await.payments[1];
    assert!(attempt.status == PaymentStatus::Unknown && attempt.sent_at.is_some(), "{attempt:?}");
    assert_eq!(world.charges_asked(id).await, 2);
    minutes(&mut world, 60).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}
