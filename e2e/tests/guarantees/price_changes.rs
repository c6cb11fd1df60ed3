//! A new price of a plan: nobody is charged more without having agreed to it, and nobody at the old price is forgotten.

use common::domain::{calendar::Cycle, subscription::SubscriptionStatus};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;

use crate::card_window::{OTHER, minutes, new_card};
use crate::plan_changes::{ENDED, pro};
use crate::prices::{answers, new_price, reached, withdraw};
use crate::requests::{change, consent, count, ends, undo};
use crate::world::World;

const REQUEST: &str = "집체크 요금 변경 동의 요청";
const NOTICE: &str = "집체크 구독 갱신 안내";

#[sqlx::test(migrations = "../migrations")]
async fn a_higher_price_is_charged_with_consent_from_its_date(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-01").await;
    let price = new_price(&world, 12_900, "2027-01-10").await;
    assert_eq!(reached(&world, id).await, Some(("2027-01-22".to_owned(), 12_900)));
    assert_eq!(answers(&world, price).await, ["not_yet_asked"]);
    world.live_until("2026-12-23").await;
    assert_eq!(world.net(id).await, 2 * 9_900, "the renewal before its date is charged as before");
    assert_eq!(answers(&world, price).await, ["asked"]);
    consent(&world, id).await.unwrap();
    assert_eq!(answers(&world, price).await, ["consented"]);
    world.live_until("2027-01-21").await;
    let emails = world.emails();
    let asked = emails.iter().find(|email| email.subject == REQUEST).unwrap();
    for words in
        ["9,900원에서 12,900원으로 인상", "2027년 1월 21일까지 동의하지", "2027년 1월 22일 0시에 종료"]
    {
        assert!(asked.text.contains(words), "{words}: {}", asked.text);
    }
    let notice = emails.iter().rfind(|email| email.subject == NOTICE).unwrap();
    assert!(notice.text.contains("12,900원") && !notice.text.contains(" 9,900원"), "{}", notice.text);
    world.live_until("2027-02-22").await;
    assert_eq!((count(&world, REQUEST), ends(&world, id).await), (1, vec!["applied".to_owned()]));
    assert_eq!(answers(&world, price).await, ["applied"]);
    assert_eq!(world.net(id).await, 2 * 9_900 + 2 * 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_consent_to_a_price_it_ends_charged_neither(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let price = new_price(&world, 12_900, "2027-01-01").await;
    for (day, asked) in [("2026-12-22", 0), ("2026-12-23", 1), ("2027-01-14", 1), ("2027-01-15", 2)] {
        world.live_until(day).await;
        assert_eq!(count(&world, REQUEST), asked, "{day}");
    }
    world.live_until("2027-02-22").await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Canceled);
    assert_eq!((count(&world, REQUEST), count(&world, ENDED)), (2, 1));
    assert_eq!(
        (ends(&world, id).await, answers(&world, price).await),
        (vec!["lapsed".into()], vec!["ended".into()])
    );
    assert_eq!(world.charges_asked(id).await, 1, "of December");
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lower_price_needs_no_consent_and_may_come_at_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, yearly) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Yearly).await);
    world.live_until("2026-12-21").await;
    let price = new_price(&world, 7_900, "2026-12-21").await;
    assert_eq!(
        (reached(&world, yearly).await, answers(&world, price).await),
        (None, vec!["none_needed".into()])
    );
    world.live_until("2027-01-22").await;
    assert_eq!((count(&world, REQUEST), ends(&world, id).await), (0, vec!["applied".to_owned()]));
    assert_eq!((world.net(id).await, world.net(yearly).await), (9_900 + 2 * 7_900, 94_800));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_withdrawn_price_leaves_everybody_at_the_old_one(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let price = new_price(&world, 12_900, "2027-01-01").await;
    world.live_until("2026-12-24").await;
    consent(&world, id).await.unwrap();
    let between = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    assert_eq!(withdraw(&world, price).await.unwrap(), 1, "who subscribed at the new price pays that");
    assert!(withdraw(&world, price).await.is_err());
    let after = world.subscriber_called("ORDER_3", Cycle::Monthly).await;
    assert_eq!(
        (ends(&world, id).await, answers(&world, price).await),
        (vec!["withdrawn".into()], vec!["withdrawn".into()])
    );
    world.live_until("2027-01-24").await;
    assert_eq!((count(&world, REQUEST), count(&world, ENDED)), (1, 0));
    assert_eq!((world.net(between).await, world.net(after).await), (2 * 12_900, 2 * 9_900));
    assert_eq!(world.net(id).await, 3 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_has_begun_is_not_withdrawn(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let price = new_price(&world, 7_900, "2026-11-24").await;
    world.set_clock("2026-11-24T00:00:00+09:00");
    assert!(withdraw(&world, price).await.unwrap_err().to_string().contains("in force"));
    world.live_until("2026-12-22").await;
    assert_eq!(world.net(id).await, 9_900 + 7_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_customers_own_change_comes_before_the_new_price(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (gone, back) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    let price = new_price(&world, 12_900, "2027-01-01").await;
    world.live_until("2026-12-23").await;
    for id in [gone, back] {
        change(&world, id, "personal", Cycle::Yearly).await.unwrap();
    }
    assert_eq!(answers(&world, price).await, ["own_change", "own_change"]);
    consent(&world, gone).await.unwrap();
    assert!(undo(&world, back).await);
    consent(&world, back).await.unwrap();
    world.live_until("2027-01-23").await;
    assert_eq!(ends(&world, gone).await, ["superseded", "applied"]);
    assert_eq!(ends(&world, back).await, ["applied", "withdrawn"]);
    assert_eq!(world.net(gone).await, 2 * 9_900 + 94_800);
    assert_eq!(world.net(back).await, 2 * 9_900 + 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_keeps_its_price_and_the_new_one_follows(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = pro(&world).await;
    change(&world, id, "personal", Cycle::Monthly).await.unwrap();
    new_price(&world, 12_900, "2026-12-23").await;
    world.live_until("2026-12-23").await;
    assert_eq!(world.net(id).await, 19_900 + 9_900);
    assert_eq!(reached(&world, id).await, Some(("2027-01-22".to_owned(), 12_900)));
    consent(&world, id).await.unwrap();
    world.live_until("2027-01-22").await;
    assert_eq!(world.net(id).await, 19_900 + 9_900 + 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_for_a_later_renewal_outlives_the_new_price(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    new_price(&world, 12_900, "2026-12-23").await;
    world.live_until("2026-12-23").await;
    consent(&world, id).await.unwrap();
    world.live_until("2027-01-21").await;
    // Its renewal has begun, but the day's run has not come yet.
    world.set_clock("2027-01-22T01:00:00+09:00");
    let wish = change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    assert_eq!(wish.effective_on, "2027-02-22".parse().unwrap());
    world.set_clock("2027-01-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.net(id).await, 2 * 9_900 + 12_900);
    world.live(2).await;
    let email = world.emails().pop().unwrap();
    assert!(email.subject == REQUEST && email.text.contains("12,900원에서 19,900원으로"), "{}", email.text);
    consent(&world, id).await.unwrap();
    world.live_until("2027-02-22").await;
    assert_eq!(ends(&world, id).await, ["applied", "superseded", "applied"]);
    assert_eq!(world.net(id).await, 2 * 9_900 + 12_900 + 19_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn letters_about_a_card_name_what_will_be_charged_next(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    new_price(&world, 7_900, "2026-11-22").await;
    world.sandbox.fault(Fault::next(Operation::Issue, Effect::Error500Approved)).unwrap();
    new_card(&world, id, OTHER).await;
    minutes(&mut world, 3).await;
    let email =
        world.emails().into_iter().find(|email| email.subject == "집체크 결제 카드 등록 안내").unwrap();
    assert!(email.text.contains("7,900원") && !email.text.contains("9,900원"), "{}", email.text);
    world.live_until("2026-12-22").await;
    assert_eq!(world.net(id).await, 9_900 + 7_900);
}
