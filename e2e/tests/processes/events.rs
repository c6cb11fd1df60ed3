//! A worker dies around an event: fact and event are there together or not at all, and what was sent is known by its id.

use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Mutex};

use axum::{Router, http::HeaderMap, http::StatusCode, routing::post};
use rustix::process::Signal;
use sandbox::Operation;
use sqlx::PgPool;
use testing::until;

use crate::kills::Death::At;
use crate::kills::die;
use crate::program::Program;
use crate::system::System;

/// Takes every event, and keeps their ids.
async fn receiver() -> (String, Arc<Mutex<Vec<String>>>) {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let taken = ids.clone();
    let take = move |headers: HeaderMap| async move {
        taken.lock().unwrap().push(headers.get("webhook-id").unwrap().to_str().unwrap().to_owned());
        StatusCode::NO_CONTENT
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/hooks", post(take))).into_future());
    (url, ids)
}

fn telling(system: &System, url: &str) -> Program {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    system.worker().var("WEBHOOK_URL", url).var("WEBHOOK_SECRETS", secret)
}

/// Type and payment's status of each event and its fact; none where one is without the other.
async fn facts_and_events(system: &System) -> Vec<(Option<String>, Option<String>)> {
    let sql = "select event.type, payment.status
                 from (select * from payments where settled_at is not null) payment
                 full join (select * from webhook_events_out where type like 'payment.%') event
                        on event.body::jsonb->'data'->'payment'->>'id' = payment.id::text
                order by event.seq";
    sqlx::query_as(sql).fetch_all(&system.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_killed_at_the_commit_leaves_fact_and_event_or_none(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    system.subscriber().await;
    let told = (Some("payment.succeeded".to_owned()), Some("completed".to_owned()));
    assert_eq!(facts_and_events(&system).await, std::slice::from_ref(&told));
    system.set_clock("2026-12-22", "02:00:01").await;
    die(&system, At("before_outcome_commit"), Operation::Charge).await;
    assert_eq!(facts_and_events(&system).await, std::slice::from_ref(&told));
    die(&system, At("after_outcome"), Operation::Charge).await;
    assert_eq!(facts_and_events(&system).await, [told.clone(), told]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_killed_after_the_answer_repeats_the_events_id(pool: PgPool) {
    let system = System::on(pool, "2026-11-22").await;
    let (url, ids) = receiver().await;
    system.order("ORDER_1").await;
    let mut doomed = telling(&system, &url).var("FAILPOINTS", "after_event=return").start();
    assert_eq!(doomed.end().await.signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(ids.lock().unwrap().len(), 1);
    system.leases_run_out().await;
    let worker = telling(&system, &url).start();
    until("the rest of the events", async || (ids.lock().unwrap().len() == 3).then_some(())).await;
    system.quiet().await;
    worker.kill().await;
    let ids = ids.lock().unwrap().clone();
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    let open: i64 = sqlx::query_scalar("select count(*) from webhook_deliveries where state <> 'delivered'")
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(open, 0);
}
