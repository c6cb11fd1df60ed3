//! Enqueue: unique keys, the caller's transaction, one NOTIFY, calendar jobs.

use std::time::Duration;

use chrono::NaiveDate;
use queue::{CHANNEL, CronTick, Enqueued, JobFilter, NewJob, enqueue, enqueue_cron, enqueue_many, list};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

use crate::support::{Work, after, job, t0};

#[sqlx::test(migrations = "../migrations")]
async fn a_taken_unique_key_is_told_apart_and_leaves_the_callers_transaction_usable(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    let keyed = job(&Work::Nothing).unique_key("k");
    let Enqueued::New(id) = enqueue(&mut tx, &keyed, t0()).await.unwrap() else { panic!("it is new") };
    assert_eq!(enqueue(&mut tx, &keyed, t0()).await.unwrap(), Enqueued::Existing(id));
    enqueue(&mut tx, &job(&Work::Nothing), t0()).await.unwrap();
    tx.commit().await.unwrap();
    let rows = list(&mut pool.acquire().await.unwrap(), &JobFilter::default()).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn racing_enqueuers_of_one_key_write_one_row_and_agree_on_it(pool: PgPool) {
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let enqueued = enqueue(&mut tx, &job(&Work::Nothing).unique_key("k"), t0()).await.unwrap();
                tx.commit().await.unwrap();
                enqueued
            })
        })
        .collect();
    let mut fresh = 0;
    let mut ids = std::collections::HashSet::new();
    for racer in racers {
        let enqueued = racer.await.unwrap();
        fresh += usize::from(matches!(enqueued, Enqueued::New(_)));
        ids.insert(enqueued.id());
    }
    assert_eq!((fresh, ids.len()), (1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_is_gone_with_the_transaction_that_enqueued_it(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    enqueue(&mut tx, &job(&Work::Nothing), t0()).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(list(&mut pool.acquire().await.unwrap(), &JobFilter::default()).await.unwrap(), []);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_set_returns_only_the_new_ones_and_keeps_every_field(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    enqueue(&mut conn, &job(&Work::Nothing).unique_key("b"), t0()).await.unwrap();
    let full = NewJob::new("other", json!({"id": 7}), after(60));
    let full = NewJob { trace_context: Some("00-trace".to_owned()), ..full }
        .unique_key("a")
        .subject(json!({"subscription": "sub_1"}))
        .priority(5)
        .max_attempts(2);
    let set = [full.clone(), job(&Work::Nothing).unique_key("b"), job(&Work::Nothing), full];
    let fresh = enqueue_many(&mut conn, &set, t0()).await.unwrap();
    assert_eq!(fresh.len(), 2);
    assert!(enqueue_many(&mut conn, &[], t0()).await.unwrap().is_empty());
    let filter = JobFilter { subject: Some(json!({"subscription": "sub_1"})), ..JobFilter::default() };
    let [row] = list(&mut conn, &filter).await.unwrap().try_into().unwrap();
    assert_eq!((row.kind.as_str(), row.priority, row.max_attempts, row.run_at), ("other", 5, 2, after(60)));
    assert_eq!((row.args, row.unique_key.as_deref()), (json!({"id": 7}), Some("a")));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_statement_notifies_once_and_only_for_what_is_due(pool: PgPool) {
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen(CHANNEL).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let later = NewJob { run_at: after(1), ..job(&Work::Nothing) };
    enqueue(&mut conn, &later, t0()).await.unwrap();
    enqueue_many(&mut conn, &[later.clone(), later.clone()], t0()).await.unwrap();
    let other = NewJob { kind: "other", ..job(&Work::Nothing) };
    let many = vec![job(&Work::Nothing); 50];
    enqueue_many(&mut conn, &many, t0()).await.unwrap();
    enqueue_many(&mut conn, &[many[0].clone(), other, later], t0()).await.unwrap();
    enqueue(&mut conn, &job(&Work::Nothing), t0()).await.unwrap();
    sqlx::query("select pg_notify('jobs', 'end')").execute(&mut *conn).await.unwrap();
    let mut payloads = vec![];
    while payloads.last().is_none_or(|last| last != "end") {
        let notice = tokio::time::timeout(Duration::from_secs(20), listener.recv()).await.unwrap().unwrap();
        payloads.push(notice.payload().to_owned());
    }
    // Nothing for the future ones, one for fifty, one without a kind for two kinds, one for one.
    assert_eq!(payloads, ["work", "", "work", "end"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_calendar_job_is_enqueued_once_per_kind_and_civil_date(pool: PgPool) {
    let day = |day| NaiveDate::from_ymd_opt(2026, 2, day).unwrap();
    let tick = |kind, date| CronTick { kind, date, due: t0(), args: json!({}), max_attempts: 3 };
    let mut conn = pool.acquire().await.unwrap();
    // A tick that was missed while down is enqueued at start, late, and due at once.
    let late = CronTick { due: after(-3_600), ..tick("scan", day(1)) };
    let first = enqueue_cron(&mut conn, &late, t0()).await.unwrap();
    assert!(matches!(first, Enqueued::New(_)));
    let again = enqueue_cron(&mut conn, &tick("scan", day(1)), after(9)).await.unwrap();
    assert_eq!(again, Enqueued::Existing(first.id()));
    assert!(matches!(enqueue_cron(&mut conn, &tick("scan", day(2)), t0()).await.unwrap(), Enqueued::New(_)));
    assert!(matches!(
        enqueue_cron(&mut conn, &tick("report", day(1)), t0()).await.unwrap(),
        Enqueued::New(_)
    ));
    let done = queue::claim(&mut *conn, &["scan"], 9, crate::support::MINUTE, "w", t0()).await.unwrap();
    assert_eq!(done[0].run_at, after(-3_600));
    done[0].lease().finish_in(&mut conn, queue::Finish::Done(None), t0()).await.unwrap();
    // Also when it is long done.
    let again = enqueue_cron(&mut conn, &tick("scan", day(1)), after(90_000)).await.unwrap();
    assert_eq!(again, Enqueued::Existing(first.id()));
}
