//! Another plan or cycle from the next renewal on: never for more than was agreed to in the last thirty days.

use common::domain::{calendar::Cycle, plan_change::ConsentRefused, subscription::SubscriptionStatus};
use sqlx::PgPool;
use uuid::Uuid;

use crate::requests::{change, consent, consent_to, count, ends, undo};
use crate::world::{GOOD, World};

const REQUEST: &str = "집체크 요금 변경 동의 요청";
pub(crate) const ENDED: &str = "집체크 구독 종료 안내";
const NOTICE: &str = "집체크 구독 갱신 안내";

pub(crate) async fn pro(world: &World) -> Uuid {
    let id = world.order("ORDER_1", GOOD, "pro", Cycle::Monthly).await;
    world.run_due_jobs().await;
    id
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dearer_plan_with_consent_is_charged_from_next_renewal(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-01").await;
    let asked = change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    assert_eq!(asked.effective_on, "2026-12-22".parse().unwrap());
    consent(&world, id).await.unwrap();
    consent(&world, id).await.unwrap();
    world.live_until("2026-12-21").await;
    assert_eq!(world.net(id).await, 9_900);
    let notice = world.emails().pop().unwrap();
    assert_eq!(notice.subject, NOTICE);
    assert!(notice.text.contains("19,900원") && !notice.text.contains(" 9,900원"));

    world.live(1).await;
    let history = world.history(id).await;
    assert_eq!((history.subscription.plan.as_str(), history.subscription.amount.get()), ("pro", 19_900));
    assert_eq!(history.next_charge_on(), "2027-01-22".parse().unwrap());
    assert_eq!(count(&world, REQUEST), 0);
    world.live_until("2027-01-22").await;
    assert_eq!(world.net(id).await, 9_900 + 2 * 19_900);
    assert_eq!(ends(&world, id).await, ["applied"]);
    let evidence: (String, Option<String>, Option<String>) =
        sqlx::query_as("select shown_text, ip, user_agent from consents")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert!(evidence.0.contains("9,900원에서 19,900원으로") && evidence.0.contains("2026년 12월 22일"));
    assert_eq!((evidence.1.as_deref(), evidence.2.as_deref()), (Some("203.0.113.7"), Some("Mozilla/5.0")));
}

#[sqlx::test(migrations = "../migrations")]
async fn without_consent_a_dearer_plan_ends_it_uncharged(pool: PgPool) {
    let mut world = World::on(pool, "2027-01-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    assert_eq!(consent(&world, id).await, Err(ConsentRefused::TooEarly("2027-01-23".parse().unwrap())));
    assert_eq!(count(&world, REQUEST), 0);
    world.live_until("2027-01-23").await;
    assert_eq!(count(&world, REQUEST), 1, "thirty days before");
    world.live_until("2027-02-14").await;
    assert_eq!(count(&world, REQUEST), 1);
    world.live_until("2027-02-15").await;
    assert_eq!(count(&world, REQUEST), 2, "seven days before");
    for email in world.emails().into_iter().filter(|email| email.subject == REQUEST) {
        for words in ["9,900원", "19,900원", "2027년 2월 21일까지 동의하지", "2027년 2월 22일 0시에 종료"]
        {
            assert!(email.text.contains(words), "{words}: {}", email.text);
        }
    }
    world.live_until("2027-03-01").await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Canceled);
    assert_eq!((count(&world, REQUEST), count(&world, ENDED), count(&world, NOTICE)), (2, 1, 0));
    assert_eq!(ends(&world, id).await, ["lapsed"]);
    assert_eq!(world.charges_asked(id).await, 0);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_consent_after_midnight_of_its_last_day_is_too_late(pool: PgPool) {
    let mut world = World::on(pool, "2027-01-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let other = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    for one in [id, other] {
        change(&world, one, "pro", Cycle::Monthly).await.unwrap();
    }
    world.live_until("2027-01-25").await;
    consent(&world, id).await.unwrap();
    world.live_until("2027-02-21").await;
    assert_eq!(count(&world, REQUEST), 3);
    world.set_clock("2027-02-22T00:00:00+09:00");
    assert_eq!(consent(&world, other).await, Err(ConsentRefused::TooLate));
    world.live(2).await;
    assert_eq!(world.net(id).await, 9_900 + 19_900);
    assert_eq!(world.net(other).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cheaper_plan_needs_no_consent(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = pro(&world).await;
    change(&world, id, "personal", Cycle::Monthly).await.unwrap();
    let date = "2026-12-22".parse().unwrap();
    assert_eq!(consent_to(&world, id, 9_900, date).await, Err(ConsentRefused::NotNeeded));
    world.live_until("2026-12-22").await;
    assert_eq!(world.history(id).await.subscription.amount.get(), 9_900);
    assert_eq!((count(&world, REQUEST), count(&world, NOTICE)), (0, 1));
    assert_eq!(world.net(id).await, 19_900 + 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_consent_to_another_amount_or_date_is_none(pool: PgPool) {
    let mut world = World::on(pool, "2026-12-01").await;
    let id = world.subscriber(Cycle::Monthly).await;
    change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    world.live_until("2026-12-03").await;
    let (date, other) = ("2027-01-01".parse().unwrap(), "2027-02-01".parse().unwrap());
    for amount in [19_899, 19_901, 9_900] {
        assert_eq!(consent_to(&world, id, amount, date).await, Err(ConsentRefused::OtherAmount));
    }
    assert_eq!(consent_to(&world, id, 19_900, other).await, Err(ConsentRefused::OtherDate));
    world.live_until("2027-01-03").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Canceled);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_request_replaces_the_first_and_its_consent(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (changed, undone) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    world.live_until("2026-12-01").await;
    for id in [changed, undone] {
        change(&world, id, "pro", Cycle::Monthly).await.unwrap();
        consent(&world, id).await.unwrap();
    }
    // Rows are told apart by their time, which stands still by itself.
    world.advance(chrono::TimeDelta::seconds(1));
    change(&world, changed, "pro", Cycle::Yearly).await.unwrap();
    assert!(undo(&world, undone).await);
    assert!(!undo(&world, undone).await);
    world.live_until("2026-12-23").await;
    assert_eq!(ends(&world, changed).await, ["superseded", "lapsed"]);
    assert_eq!((world.net(changed).await, world.net(undone).await), (9_900, 2 * 9_900));
    assert_eq!(world.history(undone).await.status(), SubscriptionStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn to_a_year_and_back_to_months_the_31st_is_never_lost(pool: PgPool) {
    let mut world = World::on(pool, "2027-01-31").await;
    let id = world.subscriber(Cycle::Monthly).await;
    change(&world, id, "personal", Cycle::Yearly).await.unwrap();
    world.live_until("2027-02-01").await;
    consent(&world, id).await.unwrap();
    world.live_until("2027-02-28").await;
    assert_eq!(world.history(id).await.next_charge_on(), "2028-02-29".parse().unwrap());
    assert_eq!(world.net(id).await, 9_900 + 94_800);
    let asked = change(&world, id, "personal", Cycle::Monthly).await.unwrap();
    assert_eq!(asked.effective_on, "2028-02-29".parse().unwrap());
    world.set_clock("2028-02-28T10:00:00+09:00");
    world.settle().await;
    assert_eq!(world.net(id).await, 9_900 + 94_800);
    world.live(1).await;
    assert_eq!(world.history(id).await.next_charge_on(), "2028-03-31".parse().unwrap());
    world.live_until("2028-04-30").await;
    assert_eq!(world.history(id).await.next_charge_on(), "2028-05-31".parse().unwrap());
    assert_eq!(world.net(id).await, 9_900 + 94_800 + 3 * 9_900);
}
