//! 이후 매월/매년 자동으로 빌링키로 결제.

use common::domain::calendar::Cycle;
use common::domain::subscription::SubscriptionStatus;
use common::jobs;
use common::jobs::ScanDueSubscriptions;
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../migrations")]
async fn a_subscription_renews_for_24_months_on_its_day(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    for month in 1..=24_i64 {
        let due = world.history(id).await.next_charge_on();
        world.live_until(&due.pred_opt().unwrap().to_string()).await;
        assert_eq!(world.net(id).await, month * 9_900, "nothing before {due}");
        world.live(1).await;
        assert_eq!(world.net(id).await, (month + 1) * 9_900, "charged on {due}");
    }
    let history = world.history(id).await;
    assert_eq!(history.next_charge_on(), "2028-12-22".parse().unwrap());
    assert_eq!(history.payments.len(), 25);
    let paid = world.subjects().into_iter().filter(|subject| subject == "집체크 구독 결제 완료").count();
    let notices = world.subjects().into_iter().filter(|subject| subject == "집체크 구독 갱신 안내").count();
    assert_eq!((paid, notices), (25, 24));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_yearly_subscription_renews_after_a_year_and_not_before(pool: PgPool) {
    let mut world = World::on(pool, "2027-02-28").await;
    let id = world.subscriber(Cycle::Yearly).await;
    world.set_clock("2028-02-27T10:00:00+09:00");
    world.settle().await;
    assert_eq!(world.net(id).await, 94_800);
    world.live(1).await;
    assert_eq!(world.net(id).await, 2 * 94_800);
    world.set_clock("2029-02-27T10:00:00+09:00");
    world.settle().await;
    assert_eq!(world.net(id).await, 2 * 94_800);
    world.live(1).await;
    assert_eq!(world.net(id).await, 3 * 94_800);
    assert_eq!(world.history(id).await.next_charge_on(), "2030-02-28".parse().unwrap());
}

#[sqlx::test(migrations = "../migrations")]
async fn scanning_twice_a_day_charges_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-22").await;
    assert_eq!(world.net(id).await, 2 * 9_900);

    let date = world.today();
    let mut tx = world.pool.begin().await.unwrap();
    let now = world.now();
    let again = jobs::enqueue(&mut tx, &ScanDueSubscriptions { date }, now, now).await.unwrap();
    assert!(matches!(again, queue::Enqueued::Existing(_)));
    // Even a scan that really runs again finds nothing to do.
    let forced = queue::NewJob::new("scan-due-subscriptions", serde_json::json!({ "date": date }), now);
    queue::enqueue(&mut tx, &forced, now).await.unwrap();
    tx.commit().await.unwrap();
    world.run_due_jobs().await;

    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn three_days_before_the_renewal_the_customer_is_told_once(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-18").await;
    assert!(!world.subjects().contains(&"집체크 구독 갱신 안내".to_owned()));
    world.live(1).await;
    let notice = world.emails().pop().unwrap();
    assert_eq!(notice.subject, "집체크 구독 갱신 안내");
    for part in ["2026년 12월 22일", "9,900원"] {
        assert!(notice.text.contains(part), "{part}: {}", notice.text);
    }
    world.live(2).await;
    assert_eq!(world.emails().len(), 2);
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    assert_eq!(world.net(id).await, 9_900);
}

/// Toss refuses a charge that names a longer address than it takes; it can do without.
#[sqlx::test(migrations = "../migrations")]
async fn an_address_too_long_for_toss_is_charged_all_the_same(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let long = format!("{}@{}.example.com", "a".repeat(60), "b".repeat(60));
    sqlx::query("update subscriptions set customer_email = $1")
        .bind(long)
        .execute(&world.pool)
        .await
        .unwrap();
    world.live_until("2026-12-23").await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}
