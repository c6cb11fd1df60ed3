//! `select * from jobs` tells the history of a failed charge without joining anything.

use common::{domain::calendar::Cycle, id::subscription_ref};
use sandbox::{Effect, Fault, Operation};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::card_window::{OTHER, new_card};
use crate::postman::{arrive, refund_in_dashboard};
use crate::receiver::listened_to;
use crate::world::{GOOD, World};

#[sqlx::test(migrations = "../migrations")]
async fn failed_tries_say_what_for_whom_why_and_when_next(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-28").await;

    let rows: Vec<(String, i32, String, String, Option<String>)> = sqlx::query_as(
        "select state, attempt, subject->>'subscription', last_error,
                to_char(next_run_at at time zone 'Asia/Seoul', 'YYYY-MM-DD HH24:MI')
           from jobs where kind = 'charge-subscription' order by id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();

    let history: Vec<_> =
        rows.iter().map(|(state, attempt, _, _, next)| (state.as_str(), *attempt, next.as_deref())).collect();
    assert_eq!(
        history,
        [
            ("failed", 1, Some("2026-12-25 02:00")),
            ("failed", 2, Some("2026-12-28 02:00")),
            ("failed", 3, None)
        ]
    );
    assert!(rows.iter().all(|row| row.2 == subscription_ref(id)));
    assert!(
        rows[0].3.contains("declined (1 of 3): REJECT_CARD_PAYMENT 한도초과 혹은 잔액부족"),
        "{}",
        rows[0].3
    );
    assert!(rows[0].3.contains("next try 2026-12-25 02:00 KST"), "{}", rows[0].3);
    assert!(rows[2].3.contains("suspended"), "{}", rows[2].3);
    assert_eq!(world.net(id).await, 9_900);
}

/// What a live job of billing looks like, and what the sweep would make in its place.
async fn jobs_of(world: &World, sql: &'static str) -> Vec<(String, Value, Value)> {
    let mut rows: Vec<(String, Value, Value)> = sqlx::query_as(sql).fetch_all(&world.pool).await.unwrap();
    for (_, args, _) in &mut rows {
        // The scan's own jobs are marked; that is no part of the work.
        if let Some(by_scan) = args.get_mut("byScan") {
            *by_scan = json!(false);
        }
    }
    rows
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_job_is_found_as_the_job_that_it_was(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.settle().await;
    receiver.dislikes(Some(&subscription_ref(id)));
    world.sandbox.fault(Fault::next(Operation::Issue, Effect::Error500NotApproved)).unwrap();
    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::Error500NotApproved)).unwrap();
    new_card(&world, id, OTHER).await;
    world.cancel(id).await;
    let event = refund_in_dashboard(&world, id, None).await;
    arrive(&world, &event.transmission_id, &event.body).await;
    world.order("ORDER_2", GOOD, "personal", Cycle::Monthly).await;
    let live = "select kind, args, subject from jobs where state in ('available', 'running') and kind not like '%s' order by 1, 2";
    let lost = jobs_of(&world, live).await;
    let kinds: Vec<&str> = lost.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["confirm-payment", "deliver-event", "handle-webhook", "issue-billing-key", "send-email"]
    );

    sqlx::query("delete from jobs").execute(&world.pool).await.unwrap();
    let found = jobs_of(&world, "select kind, args, subject from work_without_job order by 1, 2").await;
    assert_eq!(found, lost);
    world.advance(chrono::TimeDelta::minutes(3));
    worker::sweep::sweep(&world.env).await.unwrap();
    assert_eq!(jobs_of(&world, "select kind, args, subject from work_without_job").await, []);
    assert_eq!(jobs_of(&world, live).await, lost);
}
