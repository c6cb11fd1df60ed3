//! What operators can do, and what they are refused.

use queue::{Finish, JobFilter, JobState, QueueError, discard, list, rescue, retry_now, show};
use sqlx::PgPool;

use crate::support::{MINUTE, Work, after, claim_one, job, put, state, t0, tries};

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_job_is_tried_again_as_a_new_row_beyond_its_tries(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing).max_attempts(1)).await;
    let mut conn = pool.acquire().await.unwrap();
    let failed = Finish::Fail("no".to_owned());
    claim_one(&pool, MINUTE, t0()).await.lease().finish_in(&mut conn, failed, t0()).await.unwrap();
    let attention = JobFilter { needs_attention: true, ..JobFilter::default() };
    assert_eq!(list(&mut conn, &attention).await.unwrap().len(), 1);
    let next = retry_now(&mut conn, id, after(5), "kim").await.unwrap();
    let claimed = claim_one(&pool, MINUTE, after(5)).await;
    assert_eq!((claimed.id, claimed.attempt, claimed.root_id), (next, 2, id));
    assert_eq!(list(&mut conn, &attention).await.unwrap(), []);
    let [one, two] = tries(&pool, id).await.try_into().unwrap();
    assert_eq!((one.next_id, two.note.as_deref()), (Some(next), Some("run again by kim")));
    let twice = retry_now(&mut conn, id, after(6), "kim").await;
    assert_eq!(
        twice.unwrap_err().to_string(),
        format!("job {id} is failed: it was tried again as job {next}")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_parked_or_waiting_job_runs_now_itself(pool: PgPool) {
    let parked = put(&pool, &job(&Work::Nothing)).await;
    claim_one(&pool, std::time::Duration::ZERO, t0()).await;
    rescue(&pool, MINUTE, 1).await.unwrap();
    assert_eq!(state(&pool, parked).await, "parked");
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(retry_now(&mut conn, parked, t0(), "kim").await.unwrap(), parked);
    let claimed = claim_one(&pool, MINUTE, t0()).await;
    assert_eq!((claimed.id, claimed.crashes), (parked, 0));
    let waiting = put(&pool, &queue::NewJob { run_at: after(9), ..job(&Work::Nothing) }).await;
    retry_now(&mut conn, waiting, t0(), "kim").await.unwrap();
    assert_eq!(claim_one(&pool, MINUTE, t0()).await.id, waiting);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_discarded_job_is_off_the_table_with_the_reason(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    let mut conn = pool.acquire().await.unwrap();
    discard(&mut conn, id, t0(), "customer left").await.unwrap();
    let [row] = show(&mut conn, id).await.unwrap().try_into().unwrap();
    assert_eq!((row.state.as_str(), row.note.as_deref()), ("discarded", Some("customer left")));
    let filter = JobFilter { state: Some(JobState::Discarded), ..JobFilter::default() };
    assert_eq!(list(&mut conn, &filter).await.unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_changes_a_job_that_runs_is_over_or_is_not_there(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    let claimed = claim_one(&pool, MINUTE, t0()).await;
    let mut conn = pool.acquire().await.unwrap();
    for _ in ["running", "done"] {
        let retried = retry_now(&mut conn, id, t0(), "kim").await;
        let discarded = discard(&mut conn, id, t0(), "no").await;
        assert!(matches!(retried, Err(QueueError::WrongState { .. })), "{retried:?}");
        assert!(matches!(discarded, Err(QueueError::WrongState { .. })), "{discarded:?}");
        let _ = claimed.lease().finish_in(&mut conn, Finish::Done(None), t0()).await;
    }
    assert!(matches!(show(&mut conn, 999).await, Err(QueueError::NotFound(999))));
    assert!(matches!(retry_now(&mut conn, 999, t0(), "kim").await, Err(QueueError::NotFound(999))));
}
