//! Claim and heartbeat: nobody shares a job, the right order, the two clocks.

use std::collections::HashSet;
use std::time::Duration;

use queue::{ClaimLimit, NewJob, QueueError, claim, enqueue_many, heartbeat, release};
use sqlx::PgPool;
use testing::eventually;

use crate::support::{Env, MINUTE, Process, WORK, Work, after, at_once, claim_one, job, put, state, t0};

#[sqlx::test(migrations = "../migrations")]
async fn two_claimers_never_share_a_job(pool: PgPool) {
    let jobs = vec![job(&Work::Nothing); 300];
    enqueue_many(&mut pool.acquire().await.unwrap(), &jobs, t0()).await.unwrap();
    let claimers: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut ids = vec![];
                loop {
                    let claimed = claim(&pool, &[WORK], 7, MINUTE, "w", t0()).await.unwrap();
                    if claimed.is_empty() {
                        return ids;
                    }
                    ids.extend(claimed.into_iter().map(|job| job.id));
                }
            })
        })
        .collect();
    let mut ids = vec![];
    for claimer in claimers {
        ids.extend(claimer.await.unwrap());
    }
    assert_eq!(ids.len(), 300);
    assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), 300);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_claim_skips_what_another_transaction_is_claiming(pool: PgPool) {
    let first = put(&pool, &job(&Work::Nothing)).await;
    let second = put(&pool, &job(&Work::Nothing)).await;
    let mut tx = pool.begin().await.unwrap();
    let theirs = claim(&mut *tx, &[WORK], 1, MINUTE, "a", t0()).await.unwrap();
    let ours = at_once(claim(&pool, &[WORK], 9, MINUTE, "b", t0())).await.unwrap();
    assert_eq!((theirs[0].id, ours.len(), ours[0].id), (first, 1, second));
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_come_by_priority_then_time_and_never_before_their_time(pool: PgPool) {
    let at = |priority, second, kind| NewJob {
        run_at: after(second),
        kind,
        ..job(&Work::Nothing).priority(priority)
    };
    let jobs = [
        at(200, -9, "a"),
        at(100, -1, "a"),
        at(100, -2, "b"),
        at(50, 1, "a"),
        at(100, -3, "a"),
        at(10, -1, "not asked for"),
    ];
    enqueue_many(&mut pool.acquire().await.unwrap(), &jobs, t0()).await.unwrap();
    for second in [-3, -2, -1] {
        let [first] = claim(&pool, &["a", "b"], 1, MINUTE, "w", t0()).await.unwrap().try_into().unwrap();
        assert_eq!((first.priority, first.run_at), (100, after(second)));
    }
    let rest = claim(&pool, &["a", "b"], 3, MINUTE, "w", t0()).await.unwrap();
    assert_eq!(rest.iter().map(|job| job.priority).collect::<Vec<_>>(), [200]);
    let later = claim(&pool, &["a", "b"], 3, MINUTE, "w", after(1)).await.unwrap();
    assert_eq!(later.iter().map(|job| job.priority).collect::<Vec<_>>(), [50]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_jump_of_the_applications_clock_expires_no_lease(pool: PgPool) {
    put(&pool, &job(&Work::Nothing)).await;
    let claimed = claim_one(&pool, MINUTE, after(31 * 86_400)).await;
    assert_eq!(queue::rescue(&pool, MINUTE, 3).await.unwrap(), []);
    let in_a_month = claim(&pool, &[WORK], 1, MINUTE, "w", after(62 * 86_400)).await.unwrap();
    assert_eq!(in_a_month, []);
    assert_eq!(state(&pool, claimed.id).await, "running");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_statement_renews_all_leases_and_tells_which_are_ours(pool: PgPool) {
    for _ in 0..3 {
        put(&pool, &job(&Work::Nothing)).await;
    }
    let ran_out = Duration::ZERO;
    let claimed = claim(&pool, &[WORK], 3, ran_out, "w", t0()).await.unwrap();
    let leases: Vec<_> = claimed.iter().map(|job| (job.id, job.token)).collect();
    release(&pool, &leases[..1]).await.unwrap();
    let mut ours = heartbeat(&pool, &leases, MINUTE).await.unwrap();
    ours.sort_unstable();
    assert_eq!(ours, [claimed[1].id, claimed[2].id]);
    // Renewed in time: nothing to rescue.
    assert_eq!(queue::rescue(&pool, MINUTE, 3).await.unwrap(), []);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_released_try_is_as_if_never_claimed(pool: PgPool) {
    let id = put(&pool, &job(&Work::Nothing)).await;
    let claimed = claim_one(&pool, MINUTE, t0()).await;
    assert_eq!(release(&pool, &[(claimed.id, claimed.token)]).await.unwrap(), 1);
    assert_eq!(release(&pool, &[(claimed.id, claimed.token)]).await.unwrap(), 0);
    let again = claim_one(&pool, MINUTE, t0()).await;
    assert_eq!((again.id, again.attempt, again.crashes, again.snoozes), (id, 1, 0, 0));
    assert_ne!(again.token, claimed.token);
    let mut conn = pool.acquire().await.unwrap();
    let late = claimed.lease().finish_in(&mut conn, queue::Finish::Done(None), t0()).await;
    assert!(matches!(late, Err(QueueError::LeaseLost(lost)) if lost == id));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_row_that_somebody_has_locked_holds_up_no_other_lease(pool: PgPool) {
    let locked = put(&pool, &job(&Work::Nothing)).await;
    let free = put(&pool, &job(&Work::Nothing)).await;
    let claimed = claim(&pool, &[WORK], 2, MINUTE, "w", t0()).await.unwrap();
    let leases: Vec<_> = claimed.iter().map(|job| (job.id, job.token)).collect();
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("select from jobs where id = $1 for update").bind(locked).execute(&mut *tx).await.unwrap();
    assert_eq!(at_once(heartbeat(&pool, &leases, MINUTE)).await.unwrap(), [free]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_limit_of_one_claims_one_at_a_time_and_nothing_claims_none(pool: PgPool) {
    let env = Env::new(&pool);
    let process = Process::started(&env);
    process.queue.limit_claims(WORK, ClaimLimit::Nothing);
    for _ in 0..3 {
        put(&pool, &job(&Work::WaitAtGate)).await;
    }
    let other = put(&pool, &NewJob { kind: "other", ..job(&Work::Nothing) }).await;
    // Another kind of the same process is claimed meanwhile, so the claimer has looked.
    let others = process.run_also("other");
    eventually("the other kind runs", async || state(&pool, other).await == "done").await;
    let running = async || {
        let count = "select count(*) from jobs where state = 'running'";
        sqlx::query_scalar::<_, i64>(count).fetch_one(&pool).await.unwrap()
    };
    assert_eq!(running().await, 0);
    process.queue.limit_claims(WORK, ClaimLimit::One);
    env.has_started(2).await;
    assert_eq!(running().await, 1);
    env.gate.add_permits(1);
    env.has_started(1).await;
    assert_eq!(running().await, 1);
    process.queue.limit_claims(WORK, ClaimLimit::All);
    env.has_started(1).await;
    env.gate.add_permits(2);
    others.abort();
    process.stop().await;
}
