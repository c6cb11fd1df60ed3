//! Jobs: found, read with their history, tried again and taken off the table.

use std::time::Duration;

use chrono::TimeDelta;
use common::id::subscription_ref;
use common::queue;
use common::queue::{Finish, JobState};
use ops::jobs::JobsWanted;
use ops::{OpsError, jobs};
use sqlx::{PgConnection, PgPool};

use crate::seed::{acting, active_subscription, reason, start};

/// Runs the one waiting job so far that it ends as `finish`; answers its id.
async fn run_one(conn: &mut PgConnection, finish: Finish) -> i64 {
    let lease = Duration::from_mins(1);
    let kinds = ["confirm-payment"];
    let claimed = queue::claim(&mut *conn, &kinds, 1, lease, "worker-1", start()).await.unwrap();
    claimed[0].lease().finish_in(conn, finish, start()).await.unwrap();
    claimed[0].id
}

fn broken() -> Finish {
    Finish::Retry { error: "the line was cut".into(), run_at: start() + TimeDelta::minutes(5) }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_try_is_shown_with_its_causes_and_what_comes_next(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let failed = run_one(&mut conn, broken()).await;

    let wanted = JobsWanted {
        state: Some(JobState::Failed),
        subscription: Some(subscription.id),
        ..JobsWanted::default()
    };
    let listed = jobs::list(&mut conn, &wanted).await.unwrap();
    assert_eq!(listed.0.iter().map(|job| job.id).collect::<Vec<_>>(), [failed]);
    assert!(listed.to_string().contains(&subscription_ref(subscription.id)));
    let attention = JobsWanted { attention: true, ..JobsWanted::default() };
    assert!(jobs::list(&mut conn, &attention).await.unwrap().0.is_empty(), "a next try exists");

    let next = listed.0[0].next_id.unwrap();
    for id in [failed, next] {
        let chain = jobs::show(&mut conn, id).await.unwrap();
        assert_eq!(chain.0.iter().map(|job| job.id).collect::<Vec<_>>(), [failed, next]);
        let text = chain.to_string();
        assert!(text.contains("error   the line was cut"), "{text}");
        assert!(text.contains(&format!("next    job {next} at 2026-11-22 09:05:00")), "{text}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_finally_failed_job_is_tried_again_in_the_askers_name(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    active_subscription(&mut conn).await;
    let failed = run_one(&mut conn, Finish::Fail("the contract has ended".into())).await;
    let later = start() + TimeDelta::days(1);
    let retried = jobs::retry(&mut conn, failed, &reason("renewed"), &acting("kim", later)).await.unwrap();
    assert_ne!(retried.runs_as, failed);
    let chain = jobs::show(&mut conn, failed).await.unwrap();
    assert_eq!(chain.0[1].state, "available");
    assert_eq!(chain.0[1].run_at, later);
    assert_eq!(chain.0[1].note.as_deref(), Some("run again by operator:kim"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_waiting_job_is_discarded_once_with_reason_and_name(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    active_subscription(&mut conn).await;
    let id = jobs::list(&mut conn, &JobsWanted::default()).await.unwrap().0[0].id;
    let kim = acting("kim", start());
    jobs::discard(&mut conn, id, &reason("asked by mistake"), &kim).await.unwrap();
    let job = &jobs::show(&mut conn, id).await.unwrap().0[0];
    assert_eq!(job.state, "discarded");
    assert_eq!(job.note.as_deref(), Some("asked by mistake (operator:kim)"));
    let again = jobs::discard(&mut conn, id, &reason("again"), &kim).await.unwrap_err();
    assert!(again.to_string().contains("it is over"), "{again}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_is_not_there_is_said_so(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let missing = jobs::show(&mut conn, 4711).await.unwrap_err();
    assert!(matches!(missing, OpsError::Queue(queue::QueueError::NotFound(4711))));
    assert_eq!((missing.exit_code(), missing.line().as_str()), (1, "there is no job 4711"));
}
