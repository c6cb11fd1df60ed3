//! 카드 등록 후 구독 시작: the first period is charged once, or the subscription ends without having begun.

use chrono::TimeDelta;
use common::commands::register_card::RegisterError;
use common::commands::subscribe::{SubscribeError, Subscribing};
use common::domain::calendar::{Cycle, seoul_date};
use common::domain::registration::RegistrationStatus;
use common::domain::subscription::SubscriptionStatus;
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{
    OTHER, STOPPED, minutes, new_card, read, retired, subscribe, subscribed, waiting_for_deletion, wish,
};
use crate::world::{GOOD, NO_BALANCE, World};

const PAID: &str = "집체크 구독 결제 완료";
const FAILED: &str = "집체크 첫 결제 실패 안내";
const ENDED: &str = "집체크 구독 신청 취소 안내";

#[sqlx::test(migrations = "../migrations")]
async fn a_registered_card_pays_the_first_and_every_later_period(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let card = subscribed(&world, "customer", GOOD).await;
    assert_eq!(card.status, RegistrationStatus::Applied);
    let id = card.subscription_id;
    let history = world.history(id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Active, vec!["completed".to_owned()])
    );
    assert_eq!(history.subscription.anchor_on, "2026-11-22".parse().unwrap());
    assert_eq!(history.next_charge_on(), "2026-12-22".parse().unwrap());
    assert_eq!(history.payments[0].order_id, format!("AUTO_{}_0_1", id.simple()));
    assert!(history.subscription.sealed_billing_key.unwrap().starts_with("k1:"));
    assert_eq!(world.subjects(), [PAID]);
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_one_time_key_twice_is_one_subscription_or_a_conflict(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let asked = wish(&world, "customer", GOOD);
    let first = subscribe(&world, &asked).await.unwrap();
    assert_eq!(subscribe(&world, &asked).await.unwrap().id, first.id);
    world.run_due_jobs().await;
    let again = subscribe(&world, &asked).await.unwrap();
    assert_eq!((again.id, again.status), (first.id, RegistrationStatus::Applied));
    let other = Subscribing { cycle: Cycle::Yearly, ..asked.clone() };
    let stranger = Subscribing { user_id: uuid::Uuid::nil(), ..asked };
    for conflict in [other, stranger] {
        let refused = subscribe(&world, &conflict).await;
        assert!(matches!(refused, Err(SubscribeError::Register(RegisterError::AuthKeyTaken))), "{refused:?}");
    }
    assert_eq!(world.net(first.subscription_id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_one_time_key_used_elsewhere_charges_nothing(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let unknown = Subscribing { auth_key: "bln_used_before".to_owned(), ..wish(&world, "customer", GOOD) };
    let card = subscribe(&world, &unknown).await.unwrap();
    world.run_due_jobs().await;
    let card = read(&world, card.id).await;
    assert_eq!(
        (card.status, card.toss_code.as_deref()),
        (RegistrationStatus::Refused, Some("NOT_FOUND_BILLING"))
    );
    assert!(card.toss_message.unwrap().contains("다시 등록해 주세요"));
    assert_eq!(world.subjects(), [FAILED]);
    new_card(&world, card.subscription_id, OTHER).await;
    assert_eq!(world.history(card.subscription_id).await.status(), SubscriptionStatus::Active);
    assert_eq!(world.net(card.subscription_id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_declined_first_charge_is_repaired_with_another_card(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let card = subscribed(&world, "customer", NO_BALANCE).await;
    let id = card.subscription_id;
    assert_eq!(card.toss_code.as_deref(), Some("REJECT_CARD_PAYMENT"));
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete);
    assert_eq!(waiting_for_deletion(&world).await, 0);
    let email = world.emails().pop().unwrap();
    assert_eq!(email.subject, FAILED);
    for part in ["9,900원", "2026년 11월 23일 9시 0분", "잔액이 부족"] {
        assert!(email.text.contains(part), "{part}: {}", email.text);
    }
    world.set_clock("2026-11-23T02:00:01+09:00");
    world.settle().await;
    // A second card that is no good either, and one that Toss does not even register.
    assert_eq!(new_card(&world, id, NO_BALANCE).await.status, RegistrationStatus::Refused);
    assert_eq!(new_card(&world, id, STOPPED).await.status, RegistrationStatus::Refused);
    assert_eq!(new_card(&world, id, OTHER).await.status, RegistrationStatus::Applied);
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.statuses(), ["failed", "failed", "completed"]);
    assert_eq!(history.subscription.anchor_on, "2026-11-23".parse().unwrap());
    assert_eq!(history.next_charge_on(), "2026-12-23".parse().unwrap());
    world.live_until("2026-12-24").await;
    assert_eq!(world.history(id).await.next_charge_on(), "2027-01-23".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_paid_in_23_hours_ends_without_having_begun(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = subscribed(&world, "customer", NO_BALANCE).await.subscription_id;
    world.set_clock("2026-11-23T08:59:59+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete);
    world.set_clock("2026-11-23T09:00:01+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Canceled);
    assert_eq!(world.unsettled_invoices(id).await, []);
    assert_eq!(world.emails().pop().unwrap().subject, ENDED);
    let late = crate::card_window::auth_key(&world, id, OTHER).await;
    let refused = crate::card_window::register(&world, id, &late).await;
    assert!(matches!(refused, Err(RegisterError::Canceled)), "{refused:?}");
    world.live(40).await;
    assert_eq!((world.charges_asked(id).await, world.subjects().len()), (1, 2));
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_end_comes_when_its_job_and_the_cards_key_are_lost(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let away = Effect::Error500NotApproved;
    let number = world.sandbox.fault(Fault::next(Operation::Issue, away).times(1_000)).unwrap();
    let card = subscribed(&world, "customer", GOOD).await;
    sqlx::query("delete from jobs where kind = 'end-incomplete-subscription'")
        .execute(&world.pool)
        .await
        .unwrap();
    world.set_clock("2026-11-23T09:05:00+09:00");
    world.settle().await;
    assert_eq!(world.history(card.subscription_id).await.status(), SubscriptionStatus::Canceled);
    assert!(world.sandbox.remove_fault(number));
    world.live(1).await;
    // A registration that Toss answers with 5xx for an hour is given up: no key was issued.
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Refused);
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (0, 0));
    assert_eq!(world.net(card.subscription_id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_charge_in_flight_at_a_cancel_goes_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    let card = subscribed(&world, "customer", GOOD).await;
    world.cancel(card.subscription_id).await;
    minutes(&mut world, 5).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Dropped);
    let history = world.history(card.subscription_id).await;
    assert_eq!(
        (history.status(), history.statuses()),
        (SubscriptionStatus::Canceled, vec!["refunded".to_owned()])
    );
    assert_eq!(waiting_for_deletion(&world).await, 0);
    assert_eq!(world.net(card.subscription_id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_capture_after_midnight_counts_from_the_new_day(pool: PgPool) {
    let mut world = World::on(pool, "2027-01-30").await;
    world.set_clock("2027-01-30T23:59:50+09:00");
    let card = subscribe(&world, &wish(&world, "customer", GOOD)).await.unwrap();
    assert_eq!(seoul_date(world.now()), "2027-01-30".parse().unwrap());
    world.advance(TimeDelta::seconds(20));
    world.run_due_jobs().await;
    let history = world.history(card.subscription_id).await;
    assert_eq!(history.subscription.current_period_start, "2027-01-31".parse().unwrap());
    assert_eq!(history.next_charge_on(), "2027-02-28".parse().unwrap());
    world.live_until("2027-04-01").await;
    assert_eq!(world.history(card.subscription_id).await.next_charge_on(), "2027-04-30".parse().unwrap());
    assert_eq!(world.net(card.subscription_id).await, 3 * 9_900);
}
