//! Which subscriptions a new price affects: all at the old one, however they came to it, whatever died, and none unasked.

use chrono::TimeDelta;
use common::commands::roll_out_price::{Part, next_batch, roll_out};
use common::domain::billing_schedule::BillingSchedule;
use common::domain::calendar::{Cycle, days_after};
use common::domain::plan_change::first_unbilled;
use common::domain::subscription::SubscriptionStatus;
use e2e::subscribers;
use sqlx::PgPool;
use uuid::Uuid;

use crate::card_window::{OTHER, new_card, subscribe, wish};
use crate::plan_changes::ENDED;
use crate::prices::{monthly, new_price, only_announce, reached, reprice, withdraw};
use crate::requests::{change, consent, count, ends, undo};
use crate::world::{GOOD, World};

const REQUEST: &str = "집체크 요금 변경 동의 요청";

async fn number(world: &World, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_announcement_that_died_reaches_everybody_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.settle().await;
    let many = subscribers::invent(6_000);
    subscribers::insert(&world.pool, &many, "2026-11-20".parse().unwrap(), world.now()).await.unwrap();
    let price = only_announce(&world, 12_900, "2027-01-01").await;
    let mut tx = world.pool.begin().await.unwrap();
    let batch = next_batch(&mut tx, &price, Part::MakeMissing, Uuid::nil(), world.now()).await.unwrap();
    roll_out(&mut tx, &price, Part::MakeMissing, batch, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let changes = "select count(*) from plan_changes where status = 'pending'";
    assert_eq!(number(&world, changes).await, 5_000, "a batch, and then it died");
    world.live(1).await;
    assert_eq!(number(&world, changes).await, 6_001, "the next daily run does the rest");
    world.live(1).await;
    assert_eq!(number(&world, "select count(*) from plan_changes").await, 6_001);
    assert_eq!(number(&world, "select count(distinct subscription_id) from plan_changes").await, 6_001);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn old_subscribers_follow_and_new_ones_pay_the_new_price(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let paid = world.subscriber(Cycle::Monthly).await;
    // Recorded before the announcement; neither has begun.
    let confirming = world.order("ORDER_2", GOOD, "personal", Cycle::Monthly).await;
    let registering = subscribe(&world, &wish(&world, "kim", GOOD)).await.unwrap().subscription_id;
    new_price(&world, 12_900, "2026-12-23").await;
    world.run_due_jobs().await;
    let new = world.subscriber_called("ORDER_3", Cycle::Monthly).await;
    world.live(1).await;
    for id in [paid, confirming, registering] {
        assert_eq!(reached(&world, id).await, Some(("2027-01-22".to_owned(), 12_900)));
    }
    assert_eq!(reached(&world, new).await, None);
    world.live_until("2026-12-23").await;
    for id in [paid, confirming, registering] {
        consent(&world, id).await.unwrap();
    }
    world.live_until("2027-01-22").await;
    for id in [paid, confirming, registering] {
        assert_eq!(world.net(id).await, 2 * 9_900 + 12_900);
    }
    assert_eq!(world.net(new).await, 3 * 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn past_due_and_suspended_follow_and_open_debts_keep_a_price(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let past_due = world.subscriber(Cycle::Monthly).await;
    let (agreed, silent) = (
        world.subscriber_called("ORDER_2", Cycle::Monthly).await,
        world.subscriber_called("ORDER_3", Cycle::Monthly).await,
    );
    world.sandbox.set_card(GOOD, "REJECT_CARD_PAYMENT".to_owned().into());
    world.live_until("2026-12-23").await;
    new_card(&world, past_due, OTHER).await;
    world.live_until("2026-12-29").await;
    assert_eq!(world.history(silent).await.status(), SubscriptionStatus::Suspended);
    new_price(&world, 12_900, "2027-02-01").await;
    assert_eq!(reached(&world, past_due).await, Some(("2027-02-22".to_owned(), 12_900)));
    assert_eq!((reached(&world, agreed).await, reached(&world, silent).await), (None, None));
    world.live_until("2027-01-24").await;
    consent(&world, past_due).await.unwrap();
    new_card(&world, agreed, OTHER).await;
    world.live(1).await;
    consent(&world, agreed).await.unwrap();
    world.live_until("2027-02-24").await;
    assert_eq!(count(&world, REQUEST), 2, "who is suspended is asked for nothing");
    new_card(&world, silent, OTHER).await;
    assert_eq!(world.net(silent).await, 2 * 9_900, "the running period, at the price that was agreed to");
    world.live_until("2027-03-23").await;
    assert_eq!(
        (count(&world, REQUEST), world.history(silent).await.status()),
        (4, SubscriptionStatus::Canceled)
    );
    assert_eq!(world.net(past_due).await, 3 * 9_900 + 2 * 12_900);
    assert_eq!((world.net(agreed).await, world.net(silent).await), (2 * 9_900 + 2 * 12_900, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn one_suspended_before_being_asked_returns_at_the_old_price(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    new_price(&world, 12_900, "2027-01-25").await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-29").await;
    assert_eq!(reached(&world, id).await, Some(("2027-02-22".to_owned(), 12_900)));
    world.live_until("2027-02-25").await;
    assert_eq!((count(&world, REQUEST), reached(&world, id).await), (0, None));
    world.card_now(id, "pays").await;
    new_card(&world, id, OTHER).await;
    world.live(1).await;
    assert_eq!((count(&world, REQUEST), world.net(id).await), (1, 2 * 9_900));
    consent(&world, id).await.unwrap();
    world.live_until("2027-03-22").await;
    assert_eq!(world.net(id).await, 2 * 9_900 + 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn who_cancels_and_comes_back_follows_with_time_to_answer(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (early, late) =
        (world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await);
    world.live_until("2026-12-22").await;
    for id in [early, late] {
        world.cancel(id).await;
    }
    new_price(&world, 12_900, "2027-01-22").await;
    world.live_until("2026-12-30").await;
    world.resume(early).await;
    world.live(1).await;
    consent(&world, early).await.unwrap();
    world.live_until("2027-01-16").await;
    assert_eq!(reached(&world, late).await, None);
    world.resume(late).await;
    world.live(1).await;
    assert_eq!(reached(&world, late).await, Some(("2027-02-22".to_owned(), 12_900)));
    world.live_until("2027-01-23").await;
    consent(&world, late).await.unwrap();
    world.live_until("2027-02-22").await;
    assert_eq!((count(&world, ENDED), count(&world, REQUEST)), (0, 2));
    assert_eq!(world.net(early).await, 2 * 9_900 + 2 * 12_900);
    assert_eq!(world.net(late).await, 3 * 9_900 + 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_ended_who_was_never_asked_because_nothing_ran(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    new_price(&world, 12_900, "2026-12-23").await;
    assert_eq!(reached(&world, id).await, Some(("2027-01-22".to_owned(), 12_900)));
    world.live_until("2026-12-22").await;
    // From before the first question until after the last.
    world.set_clock("2027-01-23T10:00:00+09:00");
    world.settle().await;
    world.live(1).await;
    assert_eq!(world.net(id).await, 3 * 9_900, "the running period, at the price that was agreed to");
    assert_eq!(ends(&world, id).await, ["superseded", "pending"]);
    assert_eq!(reached(&world, id).await, Some(("2027-02-22".to_owned(), 12_900)));
    assert_eq!((count(&world, REQUEST), count(&world, ENDED)), (1, 0));
    world.live_until("2027-02-22").await;
    assert_eq!((world.net(id).await, count(&world, ENDED)), (3 * 9_900, 1), "asked, and silent");
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_ended_who_was_never_asked(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-22").await;
    change(&world, id, "pro", Cycle::Monthly).await.unwrap();
    new_price(&world, 12_900, "2027-01-22").await;
    world.live_until("2027-01-18").await;
    assert!(undo(&world, id).await);
    world.live_until("2027-01-22").await;
    assert_eq!(reached(&world, id).await, Some(("2027-02-22".to_owned(), 12_900)));
    assert_eq!((world.net(id).await, count(&world, ENDED)), (3 * 9_900, 0));
    world.live_until("2027-01-23").await;
    consent(&world, id).await.unwrap();
    world.live_until("2027-02-22").await;
    assert_eq!(world.net(id).await, 3 * 9_900 + 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_an_outage_each_period_has_the_price_of_its_date(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    new_price(&world, 12_900, "2027-01-10").await;
    world.live_until("2026-12-21").await;
    world.advance(TimeDelta::days(3));
    consent(&world, id).await.unwrap();
    world.set_clock("2027-01-29T10:00:00+09:00");
    world.settle().await;
    world.live(2).await;
    let held = world.unsettled_invoices(id).await;
    assert_eq!(
        held.iter().map(|invoice| (invoice.period.no, invoice.amount.get())).collect::<Vec<_>>(),
        [(1, 9_900)]
    );
    assert!(held[0].held_since.is_some());
    assert_eq!(world.net(id).await, 9_900 + 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_price_takes_along_whom_the_one_before_missed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let yearly = world.subscriber(Cycle::Yearly).await;
    let by_year = |price: i64, from: &str| {
        let request = monthly(price, from);
        ops::reprice::PriceRequest { yearly: request.monthly, monthly: None, ..request }
    };
    let first = reprice(&world, by_year(118_800, "2027-01-01")).await.unwrap();
    let second = reprice(&world, by_year(130_800, "2027-06-01")).await;
    assert!(second.unwrap_err().to_string().contains("withdraw it first"));
    world.set_clock("2027-01-02T10:00:00+09:00");
    world.settle().await;
    let second = reprice(&world, by_year(130_800, "2027-06-01")).await.unwrap();
    assert_eq!(reached(&world, yearly).await, Some(("2027-11-22".to_owned(), 130_800)));
    assert!(withdraw(&world, first).await.is_err());
    // Withdrawn, it leaves the first one as it was.
    withdraw(&world, second).await.unwrap();
    world.settle().await;
    assert_eq!(reached(&world, yearly).await, Some(("2027-11-22".to_owned(), 118_800)));
    // Back to what it was: who never left that price has nothing to do with it.
    reprice(&world, by_year(94_800, "2027-01-03")).await.unwrap();
    assert_eq!(reached(&world, yearly).await, None);
    world.set_clock("2027-11-22T10:00:00+09:00");
    world.settle().await;
    world.live(1).await;
    assert_eq!((count(&world, REQUEST), count(&world, ENDED)), (0, 0));
    assert_eq!(world.net(yearly).await, 2 * 94_800);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_finds_the_renewal_that_the_domain_does(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let price = only_announce(&world, 12_900, "2026-12-23").await;
    let terms = "update subscriptions set anchor_on = $2, terms_since_period = $3, terms_since_month = $4, period_no = $5
                  where id = $1";
    for (anchor, from_no, from_month, last_no) in [
        ("2026-11-22", 0, 0, 0),
        ("2027-01-31", 0, 0, 5),
        ("2026-08-30", 2, 13, 3),
        ("2024-02-29", 1, 12, 30),
    ] {
        let schedule = BillingSchedule {
            cycle: Cycle::Monthly,
            anchor_on: anchor.parse().unwrap(),
            from_no: u32::try_from(from_no).unwrap(),
            from_month: u32::try_from(from_month).unwrap(),
        };
        let changed = sqlx::query(terms).bind(id).bind(schedule.anchor_on);
        changed.bind(from_no).bind(from_month).bind(last_no).execute(&world.pool).await.unwrap();
        for days in (0..1_200).step_by(7) {
            let today = days_after("2026-12-01".parse().unwrap(), days).unwrap();
            let first_raise_on = days_after(today, 7).unwrap();
            let found: (i32, chrono::NaiveDate) =
                sqlx::query_as("select effective_no, effective_on from affected_by_price_change($1, $2, $3)")
                    .bind(price.id)
                    .bind(today)
                    .bind(first_raise_on)
                    .fetch_one(&world.pool)
                    .await
                    .unwrap();
            let day_before = price.effective_from.max(first_raise_on).pred_opt().unwrap();
            let period = first_unbilled(schedule, u32::try_from(last_no).unwrap(), day_before).unwrap();
            assert_eq!(found, (i32::try_from(period.no).unwrap(), period.start), "{anchor} on {today}");
        }
    }
}
