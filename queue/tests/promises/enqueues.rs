//! Enqueue: unique keys, the caller's transaction, one NOTIFY, due at once under clocks that differ.

use std::time::Duration;

use queue::{CHANNEL, Enqueued, Finish, JobFilter, NewJob, enqueue, enqueue_many, list};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

use crate::support::{MINUTE, WORK, Work, after, job, put, t0};

#[sqlx::test(migrations = "../migrations")]
async fn a_taken_unique_key_is_told_and_spares_the_transaction(pool: PgPool) {
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
async fn a_job_for_now_is_due_for_a_worker_whose_clock_is_behind(pool: PgPool) {
    put(&pool, &job(&Work::Nothing)).await;
    let minutes_ago = after(-300);
    let claimed = queue::claim(&pool, &[WORK], 1, MINUTE, "behind", minutes_ago).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].run_at), (1, t0()));
    let mut conn = pool.acquire().await.unwrap();
    let again = Finish::Snooze { reason: "at once".to_owned(), run_at: t0() };
    claimed[0].lease().finish_in(&mut conn, again, t0()).await.unwrap();
    let claimed = queue::claim(&pool, &[WORK], 1, MINUTE, "behind", minutes_ago).await.unwrap();
    let retry = Finish::Retry { error: "no".to_owned(), run_at: t0() };
    claimed[0].lease().finish_in(&mut conn, retry, t0()).await.unwrap();
    assert_eq!(queue::claim(&pool, &[WORK], 1, MINUTE, "behind", minutes_ago).await.unwrap().len(), 1);
    // A job for later still waits for its time.
    put(&pool, &NewJob { run_at: after(1), ..job(&Work::Nothing) }).await;
    assert_eq!(queue::claim(&pool, &[WORK], 1, MINUTE, "w", t0()).await.unwrap(), []);
}
