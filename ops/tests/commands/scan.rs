//! The scan by hand: once a day, never ahead of time, and a dry run that writes nothing.

use common::id::subscription_ref;
use ops::jobs::JobsWanted;
use ops::{jobs, scan};
use sqlx::{PgConnection, PgPool};

use crate::seed::{active_subscription, author, long_after, start};

async fn scans(conn: &mut PgConnection) -> usize {
    let wanted = JobsWanted { kind: Some("scan-due-subscriptions".into()), ..JobsWanted::default() };
    jobs::list(conn, &wanted).await.unwrap().0.len()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_scan_of_a_day_is_one_job_however_often_it_is_asked_for(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let first = scan::run(&mut conn, None, &author("kim", start())).await.unwrap();
    assert_eq!((first.date.to_string().as_str(), first.is_new), ("2026-11-22", true));
    let second = scan::run(&mut conn, Some(first.date), &author("kim", start())).await.unwrap();
    assert_eq!((second.job, second.is_new, second.state.as_str()), (first.job, false, "available"));
    assert_eq!(scans(&mut conn).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_that_has_not_come_is_not_scanned(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let tomorrow = "2026-11-23".parse().unwrap();
    let refused = scan::run(&mut conn, Some(tomorrow), &author("kim", start())).await.unwrap_err();
    assert!(refused.to_string().contains("in the future"), "{refused}");
    assert_eq!(scans(&mut conn).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dry_run_lists_the_day_and_nothing_of_the_day_before(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let on = |date: &str| Some(date.parse().unwrap());
    let before = scan::dry_run(&mut conn, on("2026-12-21"), start()).await.unwrap();
    assert_eq!((before.subscriptions, before.total), (0, 0));
    let due = scan::dry_run(&mut conn, on("2026-12-22"), start()).await.unwrap();
    assert_eq!((due.subscriptions, due.total, due.without_card), (1, 9_900, 0));
    assert!(due.to_string().ends_with("scan of 2026-12-22: 1 due, 0 without a card, 9,900원\n"), "{due}");
    let told = serde_json::to_value(&due).unwrap();
    assert_eq!(told["due"][0]["subscriptionId"], subscription_ref(subscription.id));
    let default = scan::dry_run(&mut conn, None, long_after()).await.unwrap();
    assert_eq!(default.date.to_string(), "2027-01-31");
    assert_eq!(scans(&mut conn).await, 0);
}
