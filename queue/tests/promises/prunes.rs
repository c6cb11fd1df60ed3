//! Prune: whole finished jobs, in batches, never what somebody still waits for.

use queue::{Finish, enqueue_many, prune};
use sqlx::PgPool;

use crate::support::{MINUTE, WORK, Work, after, claim_one, job, put, state, t0, tries};

const DAY: i64 = 86_400;

#[sqlx::test(migrations = "../migrations")]
async fn what_ended_long_ago_goes_in_batches(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    enqueue_many(&mut conn, &vec![job(&Work::Nothing); 25], t0()).await.unwrap();
    for claimed in queue::claim(&mut *conn, &[WORK], 25, MINUTE, "w", t0()).await.unwrap() {
        claimed.lease().finish_in(&mut conn, Finish::Done(None), t0()).await.unwrap();
    }
    let waiting = put(&pool, &job(&Work::Nothing)).await;
    assert_eq!(prune(&pool, t0(), 10).await.unwrap(), 0);
    assert_eq!(prune(&pool, after(1), 10).await.unwrap(), 25);
    assert_eq!(state(&pool, waiting).await, "available");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_history_of_a_job_that_is_not_over_stays_whole(pool: PgPool) {
    let first = put(&pool, &job(&Work::Nothing).unique_key("k")).await;
    let mut conn = pool.acquire().await.unwrap();
    let retry = Finish::Retry { error: "declined".to_owned(), run_at: after(40 * DAY) };
    claim_one(&pool, MINUTE, t0()).await.lease().finish_in(&mut conn, retry, t0()).await.unwrap();
    assert_eq!(prune(&pool, after(39 * DAY), 10).await.unwrap(), 0);
    let last = claim_one(&pool, MINUTE, after(40 * DAY)).await.lease();
    last.finish_in(&mut conn, Finish::Done(None), after(40 * DAY)).await.unwrap();
    assert_eq!(prune(&pool, after(40 * DAY), 10).await.unwrap(), 0);
    assert_eq!(tries(&pool, first).await.len(), 2);
    assert_eq!(prune(&pool, after(41 * DAY), 10).await.unwrap(), 2);
}
