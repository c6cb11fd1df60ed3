//! The daily run in sets: the rows that it writes are those that the domain and the job would write.

use chrono::{DateTime, Utc};
use common::domain::calendar::Cycle;
use common::jobs;
use common::jobs::ChargeSubscription;
use queue::{Finished, claim};
use serde_json::Value;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;
use worker::scheduler;

use crate::world::World;

/// args, about, subject, unique key, priority, tries, due.
type Row = (Value, Option<Uuid>, Value, Option<String>, i16, i32, DateTime<Utc>);

/// Runs the scan alone; the charges that it enqueued wait.
async fn scan(world: &World) -> Finished {
    scheduler::catch_up(&world.env, &world.schedule).await.unwrap();
    let kind = ["scan-due-subscriptions"];
    let claimed = claim(&world.pool, &kind, 1, Duration::from_mins(1), "by hand", world.now()).await.unwrap();
    worker::jobs::run_claimed(&world.env, claimed.into_iter().next().unwrap()).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_scan_writes_the_row_of_a_charge_job(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let subscription_id = world.subscriber(Cycle::Monthly).await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    assert_eq!(scan(&world).await, Finished::Done);
    let (args, about, subject, unique_key, priority, max_attempts, run_at): Row = sqlx::query_as(
        "select args, about, subject, unique_key, priority, max_attempts, run_at from jobs where kind = 'charge-subscription'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let invoice_id = about.unwrap();
    let job = jobs::row(&ChargeSubscription { invoice_id, subscription_id, by_scan: true }, run_at).unwrap();
    assert_eq!((args, about, subject), (job.args, job.about, job.subject));
    assert_eq!((unique_key, priority, max_attempts), (job.unique_key, job.priority, job.max_attempts));
}
