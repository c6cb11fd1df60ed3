//! 결제 카드 변경: the old card stays in force until the new one is proven; what is open is paid with it, once.

use chrono::TimeDelta;
use common::commands::register_card::RegisterError;
use common::domain::{calendar::Cycle, registration::RegistrationStatus, subscription::SubscriptionStatus};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{
    OTHER, STOPPED, auth_key, minutes, new_card, past_due, read, register, retired, waiting_for_deletion,
};
use crate::world::{GOOD, NO_BALANCE, World};

#[sqlx::test(migrations = "../migrations")]
async fn with_nothing_open_the_new_card_replaces_and_deletes_the_old(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let old = world.history(id).await.subscription;
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Applied);
    assert_eq!((card.auth_key, card.sealed_billing_key), (None, None));
    let new = world.history(id).await.subscription;
    assert_ne!(new.sealed_billing_key, old.sealed_billing_key);
    assert_eq!(new.card_number.as_deref(), Some("43301234****123*"));
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (1, 0));
    assert_eq!(world.charges_asked(id).await, 0);
    world.sandbox.set_card(GOOD, "REJECT_CARD_PAYMENT".to_owned().into());
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_past_due_period_is_paid_at_once_and_keeps_its_anchor(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Applied);
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.statuses(), ["completed", "failed", "completed"]);
    assert_eq!(history.next_charge_on(), "2027-01-22".parse().unwrap());
    assert_eq!(waiting_for_deletion(&world).await, 0);
    world.live(8).await;
    assert_eq!(world.charges_asked(id).await, 2);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_declined_new_card_leaves_old_card_and_dunning_as_they_were(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let before = world.history(id).await.subscription;
    let card = new_card(&world, id, NO_BALANCE).await;
    assert_eq!(card.status, RegistrationStatus::Refused);
    assert_eq!(card.toss_code.as_deref(), Some("REJECT_CARD_PAYMENT"));
    let after = world.history(id).await.subscription;
    assert_eq!(after.sealed_billing_key, before.sealed_billing_key);
    assert_eq!((after.status, after.next_billing_date), (before.status, before.next_billing_date));
    // The second step of three, on its date: the decline in between was none.
    world.live_until("2026-12-26").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::PastDue);
    world.live_until("2026-12-28").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Suspended);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_that_toss_refuses_changes_nothing(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let before = world.history(id).await.subscription;
    let card = new_card(&world, id, STOPPED).await;
    assert_eq!(card.status, RegistrationStatus::Refused);
    assert_eq!(card.toss_code.as_deref(), Some("INVALID_STOPPED_CARD"));
    assert_eq!(world.history(id).await.subscription, before);
    assert_eq!(retired(&world).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_subscription_revives_with_the_running_period(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    world.live_until("2027-01-30").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Suspended);
    let declined = new_card(&world, id, NO_BALANCE).await;
    assert_eq!(declined.status, RegistrationStatus::Refused);
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Suspended);
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Applied);
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.subscription.period_no, 2);
    assert_eq!(history.subscription.current_period_start, "2027-01-22".parse().unwrap());
    assert_eq!(history.next_charge_on(), "2027-02-22".parse().unwrap());
    world.live(5).await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_registration_answer_is_recovered_or_asked_for_again(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost = [
        (Effect::ApproveThenCut, RegistrationStatus::Applied),
        (Effect::Error500NotApproved, RegistrationStatus::Applied),
        (Effect::Error500Approved, RegistrationStatus::Refused),
    ];
    for (n, (effect, end)) in lost.into_iter().enumerate() {
        let id = world.subscriber_called(&format!("ORDER_{n}"), Cycle::Monthly).await;
        world.sandbox.fault(Fault::next(Operation::Issue, effect)).unwrap();
        let card = new_card(&world, id, OTHER).await;
        assert_eq!(card.status, RegistrationStatus::Unknown, "fault {n}");
        minutes(&mut world, 3).await;
        let card = read(&world, card.id).await;
        assert_eq!(card.status, end, "fault {n}: {card:?}");
        assert_eq!(card.auth_key, None);
    }
    assert!(world.subjects().contains(&"집체크 결제 카드 등록 안내".to_owned()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_proving_charge_is_looked_up_and_taken_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let old = world.history(id).await.subscription.sealed_billing_key;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Verifying);
    assert_eq!(world.history(id).await.subscription.sealed_billing_key, old);
    minutes(&mut world, 5).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied);
    let history = world.history(id).await;
    assert_eq!(history.statuses(), ["completed", "failed", "completed"]);
    assert_ne!(history.subscription.sealed_billing_key, old);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_answer_to_the_deletion_is_asked_for_again(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Delete, Effect::ApproveThenCut)).unwrap();
    new_card(&world, id, OTHER).await;
    assert_eq!(waiting_for_deletion(&world).await, 1);
    minutes(&mut world, 12).await;
    assert_eq!(waiting_for_deletion(&world).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_one_time_key_registers_once_and_a_second_card_waits(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = auth_key(&world, id, OTHER).await;
    let first = register(&world, id, &key).await.unwrap();
    assert_eq!(register(&world, id, &key).await.unwrap().id, first.id);
    let other = auth_key(&world, id, OTHER).await;
    assert!(matches!(register(&world, id, &other).await, Err(RegisterError::InProgress)));
    world.run_due_jobs().await;
    let again = register(&world, id, &key).await.unwrap();
    assert_eq!((again.id, again.status), (first.id, RegistrationStatus::Applied));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancel_refunds_the_proving_charge_and_deletes_the_key(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    let card = new_card(&world, id, OTHER).await;
    world.cancel(id).await;
    minutes(&mut world, 5).await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Dropped);
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Canceled);
    assert_eq!(history.statuses(), ["completed", "failed", "refunded"]);
    assert_eq!((retired(&world).await, waiting_for_deletion(&world).await), (1, 0));
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_registration_whose_job_is_lost_is_found_by_the_sweep(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::Status429)).unwrap();
    let card = new_card(&world, id, OTHER).await;
    assert_eq!(card.status, RegistrationStatus::Verifying);
    sqlx::query("delete from jobs where kind = 'issue-billing-key'").execute(&world.pool).await.unwrap();
    world.advance(TimeDelta::minutes(3));
    world.settle().await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Applied);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

/// The request of the old card cannot be taken at all, so it waits, unsent, and the new one is the remedy.
#[sqlx::test(migrations = "../migrations")]
async fn a_new_card_pays_in_place_of_a_payment_toss_could_not_take(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    world.sandbox.set_card(GOOD, sandbox::Outcome::Pays);
    let refused =
        Effect::Error { code: "NOT_MATCHES_CUSTOMER_KEY".to_owned(), status: Some(400), message: None };
    let broken = world.sandbox.fault(Fault::next(Operation::Charge, refused).times(1_000)).unwrap();
    world.live_until("2026-12-25").await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "failed", "pending"]);
    assert!(world.sandbox.remove_fault(broken));
    assert_eq!(new_card(&world, id, OTHER).await.status, RegistrationStatus::Applied);
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.statuses(), ["completed", "failed", "failed", "completed"]);
    world.live(5).await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

/// Toss repeats a 4xx under its key for 15 days: so long the customer would be kept from any other card.
#[sqlx::test(migrations = "../migrations")]
async fn a_registration_refused_by_an_unlisted_code_makes_room(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let error = Effect::Error { code: "A_CODE_OF_TOMORROW".to_owned(), status: Some(400), message: None };
    world.sandbox.fault(Fault::next(Operation::Issue, error)).unwrap();
    let first = new_card(&world, id, OTHER).await;
    minutes(&mut world, 5).await;
    assert_eq!(read(&world, first.id).await.status, RegistrationStatus::Refused);
    let second = new_card(&world, id, OTHER).await;
    assert_eq!(second.status, RegistrationStatus::Applied);
    assert_eq!(world.net(id).await, 2 * 9_900);
}
