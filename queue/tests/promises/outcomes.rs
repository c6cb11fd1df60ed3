//! Complete, fail, retry, snooze, discard: fenced, in the handler's own transaction, readable afterwards.

use queue::{
    Backoff, Completion, Finish, Finished, JobError, NewJob, QueueError, Ran, claim, complete_many, release,
    settle,
};
use sqlx::PgPool;

use crate::support::{MINUTE, WORK, Work, after, claim_one, job, put, state, t0, tries};

fn outcomes() -> [Finish; 5] {
    [
        Finish::Done(None),
        Finish::Fail("no".to_owned()),
        Finish::Retry { error: "no".to_owned(), run_at: t0() },
        Finish::Snooze { reason: "later".to_owned(), run_at: t0() },
        Finish::Discard("gone".to_owned()),
    ]
}

#[sqlx::test(migrations = "../migrations")]
async fn every_outcome_of_a_lost_lease_is_fenced_and_writes_nothing(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    let slow = claim_one(&pool, MINUTE, t0()).await;
    release(&pool, &[(slow.id, slow.token)]).await.unwrap();
    let owner = claim_one(&pool, MINUTE, t0()).await;
    let before = tries(&pool, id).await;
    let mut conn = pool.acquire().await.unwrap();
    for finish in outcomes() {
        let late = slow.lease().finish_in(&mut conn, finish, t0()).await;
        assert!(matches!(late, Err(QueueError::LeaseLost(_))), "{late:?}");
    }
    let late = Completion { lease: slow.lease(), note: None, finished_at: t0() };
    assert_eq!(complete_many(&pool, &[late]).await.unwrap(), [0_i64; 0]);
    assert_eq!(tries(&pool, id).await, before);
    owner.lease().finish_in(&mut conn, Finish::Done(None), t0()).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn effect_next_job_and_outcome_commit_together_or_not_at_all(pool: PgPool) {
    sqlx::query("create table effects (id bigint primary key)").execute(&pool).await.unwrap();
    let id = put(&pool, &job(&Work::Nothing)).await;
    let claimed = claim_one(&pool, MINUTE, t0()).await;
    let effect_and_next = async |tx: &mut sqlx::PgConnection| {
        sqlx::query("insert into effects values (1)").execute(&mut *tx).await.unwrap();
        queue::enqueue(tx, &job(&Work::Nothing).unique_key("next"), t0()).await.unwrap()
    };
    let mut tx = pool.begin().await.unwrap();
    effect_and_next(&mut tx).await;
    claimed.lease().finish_in(&mut tx, Finish::Done(None), t0()).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(state(&pool, id).await, "running");
    let mut tx = pool.begin().await.unwrap();
    let next = effect_and_next(&mut tx).await.id();
    let committed = claimed.lease().commit(tx, Finish::Done(Some("paid".to_owned())), t0()).await.unwrap();
    assert_eq!(committed.finished(), Finished::Done);
    assert_eq!((state(&pool, id).await, state(&pool, next).await), ("done".into(), "available".into()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_try_stays_and_the_next_is_a_row_linked_to_the_first(pool: PgPool) {
    let about = Some(uuid::Uuid::from_u128(7));
    let subject = serde_json::json!({"subscription": "sub_1"});
    let new = NewJob { about, subject, ..job(&Work::Nothing) };
    let first = put(&pool, &new.unique_key("k").max_attempts(3)).await;
    let mut conn = pool.acquire().await.unwrap();
    for (at, error) in [(0, "declined"), (3, "declined again"), (6, "declined at last")] {
        let claimed = claim_one(&pool, MINUTE, after(at * 86_400)).await;
        assert_eq!(claimed.root_id, first);
        let retry = Finish::Retry { error: error.to_owned(), run_at: after((at + 3) * 86_400) };
        claimed.lease().finish_in(&mut conn, retry, after(at * 86_400 + 5)).await.unwrap();
    }
    assert_eq!(claim(&pool, &[WORK], 1, MINUTE, "w", after(900 * 86_400)).await.unwrap(), []);
    let [one, two, three] = tries(&pool, first).await.try_into().unwrap();
    assert_eq!((one.next_id, one.next_run_at), (Some(two.id), Some(after(3 * 86_400))));
    assert_eq!((two.retry_of, two.attempt, two.root_id), (Some(first), 2, first));
    assert_eq!((two.next_id, two.run_at, three.run_at), (Some(three.id), after(259_200), after(518_400)));
    assert_eq!((three.state.as_str(), three.next_id), ("failed", None));
    assert!([&one, &two, &three].iter().all(|row| row.subject["subscription"] == "sub_1"));
    let links: i64 = sqlx::query_scalar("select count(*) from jobs where about = $1")
        .bind(about)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(links, 3);
    assert_eq!(one.last_error.as_deref(), Some("declined"));
    assert_eq!(three.last_error.as_deref(), Some("declined at last (try 3 of 3: none left)"));
    assert_eq!(one.finished_at, Some(after(5)));
    // The key stays taken by the first row while later tries exist.
    let again = queue::enqueue(&mut conn, &job(&Work::Nothing).unique_key("k"), t0()).await.unwrap();
    assert_eq!(again, queue::Enqueued::Existing(first));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_snooze_is_not_a_try(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing).max_attempts(1)).await;
    let mut conn = pool.acquire().await.unwrap();
    for n in 1..=5 {
        let claimed = claim_one(&pool, MINUTE, after(n)).await;
        assert_eq!((claimed.id, claimed.attempt, i64::from(claimed.snoozes)), (id, 1, n - 1));
        let snooze = Finish::Snooze { reason: "the bank is closed".to_owned(), run_at: after(n + 1) };
        claimed.lease().finish_in(&mut conn, snooze, after(n)).await.unwrap();
        assert_eq!(claim(&pool, &[WORK], 1, MINUTE, "w", after(n)).await.unwrap(), []);
    }
    let [row] = tries(&pool, id).await.try_into().unwrap();
    assert_eq!((row.snoozes, row.note.as_deref()), (5, Some("the bank is closed")));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_broken_handler_is_tried_again_until_its_tries_are_used(pool: PgPool) {
    let backoff = Backoff { base: std::time::Duration::from_secs(10), cap: MINUTE };
    let first = put(&pool, &job(&Work::Nothing).max_attempts(2)).await;
    let mut conn = pool.acquire().await.unwrap();
    let mut settled = vec![];
    for at in [0, 5] {
        let claimed = claim_one(&pool, MINUTE, after(at)).await;
        let broke = Err(JobError::new("no disk"));
        settled.push(settle(&mut conn, &claimed.lease(), broke, backoff, after(at), 0.5).await.unwrap());
    }
    let [one, two] = tries(&pool, first).await.try_into().unwrap();
    assert_eq!(settled, [Finished::Retried(two.id), Finished::Failed]);
    assert_eq!((one.next_run_at, one.last_error.as_deref()), (Some(after(5)), Some("no disk")));
    assert_eq!(two.state, "failed");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_job_runs_by_hand_with_no_task_in_the_background(pool: PgPool) {
    sqlx::query("create table effects (id bigint primary key)").execute(&pool).await.unwrap();
    let done = put(&pool, &job(&Work::Effect)).await;
    let claimed = claim_one(&pool, MINUTE, t0()).await;
    let tx = pool.begin().await.unwrap();
    let answer: Result<Ran, JobError> = Ok(claimed
        .lease()
        .commit(tx, Finish::Discard("its reason is gone".to_owned()), t0())
        .await
        .unwrap()
        .into());
    let mut conn = pool.acquire().await.unwrap();
    let settled = settle(&mut conn, &claimed.lease(), answer, Backoff::default(), t0(), 0.0).await.unwrap();
    assert_eq!((settled, state(&pool, done).await.as_str()), (Finished::Discarded, "discarded"));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_table_tells_what_failed_for_whom_why_and_when_next(pool: PgPool) {
    put(&pool, &job(&Work::Break).subject(serde_json::json!({"invoice": "inv_7"}))).await;
    let claimed = claim_one(&pool, MINUTE, t0()).await;
    let retry = Finish::Retry { error: "card expired".to_owned(), run_at: after(60) };
    claimed.lease().finish_in(&mut pool.acquire().await.unwrap(), retry, t0()).await.unwrap();
    let told: String = sqlx::query_scalar(
        "select concat_ws(' ', kind, args, subject ->> 'invoice', last_error, attempt, 'of', max_attempts,
                          extract(epoch from next_run_at - finished_at)::int, worker)
         from jobs where state = 'failed'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(told, "work \"break\" inv_7 card expired 1 of 5 60 by hand");
    for view in
        ["jobs_waiting", "jobs_running", "jobs_failed", "jobs_attention", "job_history", "jobs_by_kind"]
    {
        let count = format!("select count(*) from {view}");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&pool).await.unwrap();
        assert_eq!(rows > 0, !matches!(view, "jobs_running" | "jobs_attention"), "{view}");
    }
}
