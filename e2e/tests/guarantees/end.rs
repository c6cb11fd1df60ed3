//! 구독 즉시 종료: no access and no charge from then on, and what was not used goes back, once.

use chrono::TimeDelta;
use common::commands::end::{EndError, EndSubscription, Ended, end_subscription};
use common::commands::refund::RefundError;
use common::commands::resume;
use common::commands::resume::resume_subscription;
use common::domain::calendar::Cycle;
use common::domain::ending::{EndRefused, RefundPolicy};
use common::domain::registration::RegistrationStatus;
use common::domain::subscription::{SubscriptionStatus, has_access};
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::card_window::{OTHER, auth_key, minutes, past_due, read, register, waiting_for_deletion};
use crate::postman::ask_for_refund;
use crate::world::World;

const ENDED: &str = "집체크 구독 종료 안내";
const REFUNDED: &str = "집체크 환불 완료";

async fn end_as(world: &World, wish: EndSubscription<'_>) -> Result<Ended, EndError> {
    let mut tx = world.pool.begin().await.unwrap();
    let ended = end_subscription(&mut tx, &world.env.brand, wish, world.now()).await?;
    tx.commit().await.unwrap();
    Ok(ended)
}

fn wish(id: Uuid, policy: RefundPolicy) -> EndSubscription<'static> {
    EndSubscription {
        subscription_id: id,
        policy,
        reason: "고객 요청",
        key: None,
        actor: "operator:kim@example.com",
    }
}

async fn end(world: &World, id: Uuid) -> Result<Ended, EndError> {
    end_as(world, wish(id, RefundPolicy::ProRata)).await
}

#[sqlx::test(migrations = "../migrations")]
async fn ended_at_once_it_is_closed_and_the_unused_days_go_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-07").await;
    let ended = end(&world, id).await.unwrap();
    // 14 of the 30 days from 22 November to 21 December come after the 7th.
    assert_eq!(ended.refund.unwrap().amount.get(), 9_900 * 14 / 30);
    world.run_due_jobs().await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::Canceled);
    assert!(!has_access(&history.subscription, world.now()));
    assert_eq!(history.statuses(), ["partially_refunded"]);
    let emails = world.emails();
    let told = emails.iter().find(|email| email.subject == ENDED).unwrap();
    for part in ["4,620원", "30일 중 남은 14일", "2026년 12월 7일"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(world.subjects().contains(&REFUNDED.to_owned()));
    world.live(40).await;
    assert_eq!(world.charges_asked(id).await, 0);
    assert_eq!(world.net(id).await, 9_900 - 4_620);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_end_twice_is_one_end_and_one_refund(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Yearly).await;
    let clicked = EndSubscription { key: Some("click-1"), ..wish(id, RefundPolicy::ProRata) };
    let (one, other) = tokio::join!(end_as(&world, clicked), end_as(&world, clicked));
    assert_eq!(one.unwrap().refund, other.unwrap().refund);
    world.live(1).await;
    let later = end_as(&world, clicked).await.unwrap();
    assert_eq!(later.refund.unwrap().amount.get(), 94_800 * 364 / 365);
    let changed = end_as(&world, EndSubscription { policy: RefundPolicy::None, ..clicked }).await;
    assert!(matches!(changed, Err(EndError::KeyTaken)), "{changed:?}");
    let again = end_as(&world, EndSubscription { key: Some("click-2"), reason: "또", ..clicked }).await;
    assert!(matches!(again, Err(EndError::Refused(EndRefused::AlreadyEnded))), "{again:?}");
    assert_eq!(
        world.subjects().iter().filter(|subject| *subject == ENDED || *subject == REFUNDED).count(),
        2
    );
    assert_eq!(world.net(id).await, 94_800 - 94_800 * 364 / 365);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_refund_nothing_goes_back(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let ended = end_as(&world, wish(id, RefundPolicy::None)).await.unwrap();
    assert_eq!(ended.refund, None);
    world.run_due_jobs().await;
    assert!(!has_access(&world.history(id).await.subscription, world.now()));
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn ended_in_dunning_nothing_is_owed_and_nothing_goes_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let ended = end(&world, id).await.unwrap();
    assert_eq!((ended.refund, ended.ending.unused.days), (None, 0));
    assert_eq!(world.unsettled_invoices(id).await, []);
    world.live(10).await;
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_charge_in_flight_at_an_end_goes_back_in_full_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut)).unwrap();
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    assert_eq!(end(&world, id).await.unwrap().refund, None);
    world.live(2).await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "refunded"]);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_of_the_rest_whose_answer_is_lost_is_made_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost =
        [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Error500NotApproved, Effect::Garbage];
    for (n, effect) in lost.into_iter().enumerate() {
        let id = world.subscriber_called(&format!("ORDER_{n}"), Cycle::Yearly).await;
        world.sandbox.fault(Fault::next(Operation::Cancel, effect)).unwrap();
        let share = i64::from(end(&world, id).await.unwrap().refund.unwrap().amount.get());
        world.run_due_jobs().await;
        assert_eq!(world.history(id).await.statuses(), ["completed"], "fault {n}");
        minutes(&mut world, 10).await;
        assert_eq!(world.history(id).await.statuses(), ["partially_refunded"], "fault {n}");
        assert_eq!(world.net(id).await, 94_800 - share, "fault {n}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_end_shares_what_is_left_after_earlier_refunds(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-07").await;
    ask_for_refund(&world, id, 3_900).await;
    let early = end(&world, id).await;
    assert!(matches!(early, Err(EndError::Refund(RefundError::InProgress))), "{early:?}");
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    world.run_due_jobs().await;
    assert_eq!(end(&world, id).await.unwrap().refund.unwrap().amount.get(), 6_000 * 14 / 30);
    world.run_due_jobs().await;
    assert_eq!(world.net(id).await, 6_000 - 2_800);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_one_can_be_ended_and_not_resumed_afterwards(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.cancel(id).await;
    world.live_until("2026-12-07").await;
    assert!(end(&world, id).await.unwrap().refund.is_some());
    world.run_due_jobs().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let back = resume::ResumeSubscription { subscription_id: id, user_id: None, actor: "customer:test" };
    assert!(resume_subscription(&mut conn, back, world.now()).await.is_err());
    for (sql, fence) in [
        ("update subscriptions set status = 'active', canceled_at = null", "subscriptions_ended_is_canceled"),
        ("update subscriptions set ended_at = null", "subscriptions_ended_for_good"),
        ("update subscription_endings set refund_id = null", "subscription_endings_append_only"),
        ("insert into subscription_endings select * from subscription_endings", "subscription_endings_pkey"),
    ] {
        let error = sqlx::query(sql).execute(&mut *conn).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(|error| error.constraint()), Some(fence), "{sql}");
    }
    drop(conn);
    world.live(40).await;
    assert_eq!(world.charges_asked(id).await, 0);
    assert_eq!(world.net(id).await, 9_900 - 4_620);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_card_being_registered_at_an_end_is_dropped(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = past_due(&mut world).await;
    let card = register(&world, id, &auth_key(&world, id, OTHER).await).await.unwrap();
    end(&world, id).await.unwrap();
    world.advance(TimeDelta::minutes(1));
    world.run_due_jobs().await;
    assert_eq!(read(&world, card.id).await.status, RegistrationStatus::Dropped);
    assert_eq!(waiting_for_deletion(&world).await, 0);
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 9_900);
}
