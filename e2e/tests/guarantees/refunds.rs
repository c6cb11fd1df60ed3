//! 환불: all or a part, once whatever happens to the answers, never more than was captured.

use chrono::TimeDelta;
use common::commands::refund::{RefundError, RefundRequest, request_refund};
use common::domain::{calendar::Cycle, money::Won};
use common::store::refunds::Requested;
use sandbox::{Effect, Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::World;

const ACTOR: &str = "operator:kim@example.com";

async fn refund(
    world: &World,
    id: Uuid,
    amount: Option<i64>,
    key: Option<&str>,
) -> Result<Requested, RefundError> {
    let payment_id = world.history(id).await.payments[0].id;
    let amount = amount.map(|won| Won::new(won).unwrap());
    let wish = RefundRequest { payment_id, amount, reason: "고객 요청", key, actor: ACTOR };
    let mut tx = world.pool.begin().await.unwrap();
    let requested = request_refund(&mut tx, wish, world.now()).await?;
    tx.commit().await.unwrap();
    Ok(requested)
}

async fn minutes(world: &mut World, minutes: u32) {
    for _ in 0..minutes {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
}

fn refund_mails(world: &World) -> usize {
    world.subjects().iter().filter(|subject| subject.contains("환불")).count()
}

#[sqlx::test(migrations = "../migrations")]
async fn all_that_is_left_goes_back_and_the_customer_is_told(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    refund(&world, id, None, None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(world.net(id).await, 0);
    let email = world.emails().into_iter().find(|email| email.subject == "집체크 환불 완료").unwrap();
    assert!(email.text.contains("전액이") && email.text.contains("9,900원"), "{}", email.text);
    let actor: String =
        sqlx::query_scalar("select actor from subscription_events where what = 'payment.refunded'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(actor, ACTOR);
    assert!(matches!(refund(&world, id, None, None).await, Err(RefundError::NotRefundable)));
}

#[sqlx::test(migrations = "../migrations")]
async fn parts_go_back_until_nothing_is_left_and_never_more(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    refund(&world, id, Some(4_000), None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["partially_refunded"]);
    let too_much = refund(&world, id, Some(5_901), None).await;
    assert!(matches!(too_much, Err(RefundError::TooMuch(left)) if left.get() == 5_900), "{too_much:?}");
    refund(&world, id, None, None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    let emails: Vec<_> = world.emails().into_iter().filter(|email| email.subject.contains("환불")).collect();
    let said = |what: &str, amount: &str| {
        emails.iter().filter(|email| email.text.contains(what) && email.text.contains(amount)).count()
    };
    assert_eq!((emails.len(), said("일부가", "4,000원"), said("남은 금액이", "5,900원")), (2, 1, 1));
    assert_eq!(said("전액", ""), 0);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_refund_key_with_other_content_is_a_conflict(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let first = refund(&world, id, Some(4_000), Some("click-1")).await.unwrap();
    let again = refund(&world, id, Some(4_000), Some("click-1")).await.unwrap();
    assert_eq!(first, again);
    let other = refund(&world, id, Some(5_000), Some("click-1")).await;
    assert!(matches!(other, Err(RefundError::KeyTaken)), "{other:?}");
    let second = refund(&world, id, Some(1_000), Some("click-2")).await;
    assert!(matches!(second, Err(RefundError::InProgress)), "{second:?}");
    world.run_due_jobs().await;
    assert_eq!(refund(&world, id, Some(4_000), Some("click-1")).await.unwrap().id, first.id);
    assert_eq!(world.net(id).await, 5_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_whose_answer_is_lost_is_made_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let lost =
        [Effect::ApproveThenCut, Effect::Error500Approved, Effect::Error500NotApproved, Effect::Garbage];
    for (n, effect) in lost.into_iter().enumerate() {
        let id = world.subscriber_called(&format!("ORDER_{n}"), Cycle::Monthly).await;
        world.sandbox.fault(Fault::next(Operation::Cancel, effect)).unwrap();
        refund(&world, id, Some(4_000), None).await.unwrap();
        world.run_due_jobs().await;
        assert_eq!(world.history(id).await.statuses(), ["completed"], "fault {n}");
        let meanwhile = refund(&world, id, None, None).await;
        assert!(matches!(meanwhile, Err(RefundError::InProgress)), "fault {n}: {meanwhile:?}");
        minutes(&mut world, 10).await;
        assert_eq!(world.history(id).await.statuses(), ["partially_refunded"], "fault {n}");
        assert_eq!(world.net(id).await, 5_900, "fault {n}");
        assert_eq!(refund_mails(&world), n + 1);
    }
}

/// Its key is dead by then: nothing is sent again, but what the gateway lists is booked, and what it does not list is over.
#[sqlx::test(migrations = "../migrations")]
async fn a_refund_unknown_for_two_weeks_is_looked_for_and_ends(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let made = world.subscriber_called("ORDER_1", Cycle::Monthly).await;
    let lost = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    for (id, effect) in [(made, Effect::ApproveThenCut), (lost, Effect::Error500NotApproved)] {
        world.sandbox.fault(Fault::next(Operation::Cancel, effect)).unwrap();
        refund(&world, id, None, None).await.unwrap();
        world.run_due_jobs().await;
    }
    world.advance(TimeDelta::days(15));
    world.settle().await;
    assert_eq!(world.history(made).await.statuses(), ["refunded"]);
    assert_eq!(world.history(lost).await.statuses(), ["completed"]);
    let jobs = jobs_so_far(&world).await;
    world.advance(TimeDelta::hours(1));
    world.settle().await;
    assert_eq!(jobs_so_far(&world).await, jobs, "the sweep has nothing to do");
    refund(&world, lost, None, None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(lost).await.statuses(), ["refunded"]);
    assert_eq!((world.net(made).await, world.net(lost).await), (0, 0));
}

async fn jobs_so_far(world: &World) -> i64 {
    let sql = "select count(*) from jobs where kind = 'refund-payment'";
    sqlx::query_scalar(sql).fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_whose_job_is_lost_is_found_by_the_sweep(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    refund(&world, id, None, None).await.unwrap();
    sqlx::query("delete from jobs where kind = 'refund-payment'").execute(&world.pool).await.unwrap();
    world.advance(TimeDelta::minutes(3));
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn money_that_went_back_elsewhere_is_not_refunded_again(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let payment_key = world.history(id).await.payments[0].payment_key.clone().unwrap();
    world.sandbox.cancel_in_dashboard(&payment_key, Some(5_000), "전화 요청").unwrap();
    let asked = refund(&world, id, Some(4_000), Some("click-1")).await.unwrap();
    world.run_due_jobs().await;
    let after = refund(&world, id, Some(4_000), Some("click-1")).await.unwrap();
    assert_eq!(after.id, asked.id);
    assert_eq!(after.toss_code.as_deref(), Some("NOT_MATCHES_REFUNDABLE_AMOUNT"));
    assert_eq!(world.net(id).await, 4_900);
}

/// Toss repeats a 4xx under its key for 15 days.
#[sqlx::test(migrations = "../migrations")]
async fn a_refund_refused_by_an_unlisted_code_takes_another_key(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let error = Effect::Error { code: "A_CODE_OF_TOMORROW".to_owned(), status: Some(400), message: None };
    world.sandbox.fault(Fault::next(Operation::Cancel, error)).unwrap();
    refund(&world, id, Some(4_000), None).await.unwrap();
    minutes(&mut world, 30).await;
    assert_eq!(world.history(id).await.statuses(), ["partially_refunded"]);
    assert_eq!(world.net(id).await, 5_900);
    assert_eq!(refund_mails(&world), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_of_what_the_dashboard_refunded_ends_and_is_booked(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = world.history(id).await.payments[0].payment_key.clone().unwrap();
    world.sandbox.set_switches(|switches| switches.hold_webhooks = true);
    world.sandbox.cancel_in_dashboard(&key, None, "고객 요청").unwrap();
    let already =
        Effect::Error { code: "ALREADY_CANCELED_PAYMENT".to_owned(), status: Some(400), message: None };
    world.sandbox.fault(Fault::next(Operation::Cancel, already).times(10)).unwrap();
    refund(&world, id, Some(4_000), None).await.unwrap();
    minutes(&mut world, 10).await;
    let ended: String =
        sqlx::query_scalar("select status from refunds").fetch_one(&world.pool).await.unwrap();
    assert_eq!(ended, "failed");
    world.live(2).await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!((world.net(id).await, refund_mails(&world)), (0, 1));
}
