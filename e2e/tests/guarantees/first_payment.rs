//! "구독 시작하기" → 첫 결제 + 빌링키 발급.

use common::domain::{calendar::Cycle, subscription::SubscriptionStatus};
use sqlx::PgPool;

use crate::world::{GOOD, NO_BALANCE, World};

#[sqlx::test(migrations = "../migrations")]
async fn the_first_payment_activates_and_seals_the_billing_key(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Yearly).await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete);

    world.run_due_jobs().await;

    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Active);
    assert_eq!(history.next_charge_on(), "2027-11-22".parse().unwrap());
    assert_eq!(history.statuses(), ["completed"]);
    assert!(history.subscription.sealed_billing_key.unwrap().starts_with("k1:"));
    assert_eq!(world.subjects(), ["집체크 구독 결제 완료"]);
    let email = &world.emails()[0].text;
    for part in ["94,800원", "2027년 11월 22일", "http"] {
        assert!(email.contains(part), "{part}: {email}");
    }
    assert_eq!(world.net(id).await, 94_800);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_declined_first_payment_leaves_no_subscription_and_no_money(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.order("ORDER_1", NO_BALANCE, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Canceled);
    assert_eq!(history.statuses(), ["failed"]);
    assert_eq!(history.payments[0].toss_code.as_deref(), Some("REJECT_CARD_PAYMENT"));
    assert_eq!(world.subjects(), Vec::<String>::new());
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_billing_key_it_is_active_and_a_card_is_asked_for(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    world.sandbox.set_switches(|switches| switches.confirm_billing_key = false);
    let id = world.subscriber(Cycle::Monthly).await;
    assert_eq!(world.history(id).await.subscription.sealed_billing_key, None);
    let mut subjects = world.subjects();
    subjects.sort();
    assert_eq!(subjects, ["집체크 결제 카드 등록 안내", "집체크 구독 결제 완료"]);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_card_no_bank_is_asked_and_it_ends_suspended(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.set_switches(|switches| switches.confirm_billing_key = false);
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-20").await;
    let asked =
        world.subjects().into_iter().filter(|subject| subject == "집체크 결제 카드 등록 안내").count();
    assert_eq!(asked, 2, "at once, and three days ahead");
    world.live_until("2026-12-22").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::PastDue);
    let email = world.emails().pop().unwrap();
    assert_eq!(email.subject, "집체크 구독 결제 실패");
    assert!(email.text.contains("카드가 등록되어 있지 않습니다"), "{}", email.text);
    world.live_until("2026-12-29").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Suspended);
    assert_eq!((world.charges_asked(id).await, world.history(id).await.statuses().len()), (0, 1));

    let card = crate::card_window::new_card(&world, id, GOOD).await;
    assert_eq!(card.status, common::domain::registration::RegistrationStatus::Applied);
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    assert_eq!(world.history(id).await.next_charge_on(), "2027-01-22".parse().unwrap());
    assert_eq!(world.net(id).await, 2 * 9_900);
}
