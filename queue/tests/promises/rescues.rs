//! Rescue: expired leases go back, crash loops are parked, unknown kinds fail.

use std::time::Duration;

use queue::{Finish, NewJob, QueueError, rescue, sweep_unknown_kinds};
use sqlx::PgPool;

use crate::support::{MINUTE, Work, after, at_once, claim_one, job, put, state, t0, tries};

const RAN_OUT: Duration = Duration::ZERO;

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_comes_back_after_its_lease_ran_out_is_fenced(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    let stalled = claim_one(&pool, RAN_OUT, t0()).await;
    let rescued = rescue(&pool, MINUTE, 3).await.unwrap();
    assert_eq!((rescued[0].id, rescued[0].parked), (id, false));
    let owner = claim_one(&pool, MINUTE, t0()).await;
    assert_eq!((owner.id, owner.attempt, owner.crashes), (id, 1, 1));
    let mut conn = pool.acquire().await.unwrap();
    let late = stalled.lease().finish_in(&mut conn, Finish::Done(None), t0()).await;
    assert!(matches!(late, Err(QueueError::LeaseLost(_))));
    owner.lease().finish_in(&mut conn, Finish::Done(None), t0()).await.unwrap();
    let [row] = tries(&pool, id).await.try_into().unwrap();
    assert_eq!(
        row.last_error.as_deref(),
        Some("worker by hand stopped answering while it ran this job (crash 1 of 3)")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_keeps_crashing_its_worker_is_parked(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    let mut parked = vec![];
    for _ in 0..3 {
        claim_one(&pool, RAN_OUT, t0()).await;
        parked.extend(rescue(&pool, MINUTE, 3).await.unwrap().into_iter().map(|job| job.parked));
    }
    assert_eq!(parked, [false, false, true]);
    assert_eq!(state(&pool, id).await, "parked");
    assert_eq!(queue::claim(&pool, &["work"], 1, MINUTE, "w", after(9_999)).await.unwrap(), []);
}

#[sqlx::test(migrations = "../migrations")]
async fn crashes_before_a_run_that_came_to_an_end_do_not_count(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    for _ in 0..3 {
        for _ in 0..2 {
            claim_one(&pool, RAN_OUT, t0()).await;
            rescue(&pool, MINUTE, 3).await.unwrap();
        }
        let lease = claim_one(&pool, MINUTE, t0()).await.lease();
        let later = Finish::Snooze { reason: "the bank is closed".to_owned(), run_at: t0() };
        lease.finish_in(&mut pool.acquire().await.unwrap(), later, t0()).await.unwrap();
    }
    assert_eq!(state(&pool, id).await, "available");
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_rescued_in_the_first_lease_after_a_start(pool: PgPool) {
    put(&pool, &job(&Work::Nothing)).await;
    claim_one(&pool, RAN_OUT, t0()).await;
    let longer_than_the_server_is_up = Duration::from_hours(24 * 365 * 100);
    assert_eq!(rescue(&pool, longer_than_the_server_is_up, 3).await.unwrap(), []);
    assert_eq!(rescue(&pool, MINUTE, 3).await.unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn rescuers_side_by_side_count_a_crash_once(pool: PgPool) {
    put(&pool, &job(&Work::Nothing)).await;
    claim_one(&pool, RAN_OUT, t0()).await;
    let mut tx = pool.begin().await.unwrap();
    assert_eq!(rescue(&mut *tx, MINUTE, 3).await.unwrap().len(), 1);
    assert_eq!(at_once(rescue(&pool, MINUTE, 3)).await.unwrap(), []);
    tx.commit().await.unwrap();
    assert_eq!(claim_one(&pool, MINUTE, t0()).await.crashes, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_kind_fails_with_the_reason_after_a_grace(pool: PgPool) {
    let known = put(&pool, &job(&Work::Nothing)).await;
    let unknown = put(&pool, &NewJob { kind: "renamed", ..job(&Work::Nothing) }).await;
    assert_eq!(sweep_unknown_kinds(&pool, &["work"], MINUTE, after(60)).await.unwrap(), 0);
    assert_eq!(sweep_unknown_kinds(&pool, &["work"], MINUTE, after(61)).await.unwrap(), 1);
    assert_eq!(state(&pool, known).await, "available");
    let [row] = tries(&pool, unknown).await.try_into().unwrap();
    assert_eq!(row.last_error.as_deref(), Some("no worker knows jobs of the kind renamed"));
}
