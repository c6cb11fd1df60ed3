//! Comparing the books by hand: a worker does it, the command waits, and shows what the worker found.

use std::time::Duration;

use common::domain::reconcile::{Discrepancy, DiscrepancyKind};
use common::store::discrepancies::Run;
use common::store::operator_actions::ActionFilter;
use common::store::{discrepancies, operator_actions};
use ops::jobs::JobsWanted;
use ops::{jobs, reconcile};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::seed::{acting, author, reason, start};

const SOON: Duration = Duration::from_millis(300);

async fn asked_for(conn: &mut PgConnection) -> Vec<(i64, String)> {
    let wanted = JobsWanted { kind: Some("reconcile-payments".into()), ..JobsWanted::default() };
    let jobs = jobs::list(conn, &wanted).await.unwrap().0;
    jobs.into_iter().map(|job| (job.id, job.args["date"].as_str().unwrap().to_owned())).rev().collect()
}

fn unknown_capture(amount: i64) -> Discrepancy {
    Discrepancy {
        kind: DiscrepancyKind::UnknownCapture,
        reference: "txrd_1".into(),
        order_id: Some("ORDER_1".into()),
        payment_key: Some("tnhig2026".into()),
        transaction_key: Some("txrd_1".into()),
        payment_id: None,
        refund_id: None,
        our_amount: None,
        their_amount: Some(amount),
    }
}

/// What a worker leaves behind that has compared a day and found an unknown capture.
async fn worker_compares(conn: &mut PgConnection, job_id: i64, date: &str) {
    let date = date.parse().unwrap();
    discrepancies::record(conn, date, &unknown_capture(9_900), start()).await.unwrap();
    let run = Run {
        id: uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &job_id.to_be_bytes()),
        date,
        job_id,
        started_at: start(),
        finished_at: start(),
        captures: 1,
        refunds: 0,
        payments: 0,
        our_refunds: 0,
        discrepancies_open: 1,
        discrepancies_new: 1,
        discrepancies_ended: 0,
    };
    discrepancies::insert_run(conn, &run).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn it_shows_what_the_worker_has_found(pool: PgPool) {
    let (mut conn, mut workers) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let date = Some("2026-11-21".parse().unwrap());
    let kim = author("kim", start());
    let asking = reconcile::run(&mut conn, date, Duration::from_secs(20), &kim);
    let working = async {
        loop {
            if let Some((job, date)) = asked_for(&mut workers).await.pop() {
                return worker_compares(&mut workers, job, &date).await;
            }
            tokio::task::yield_now().await;
        }
    };
    let (reconciled, ()) = tokio::join!(asking, working);
    let reconciled = reconciled.unwrap();
    assert_eq!((reconciled.runs.len(), reconciled.discrepancies.len()), (1, 1));
    let text = reconciled.to_string();
    for words in
        ["unknown_capture", "ORDER_1", "9,900원", "open", "2026-11-21: 0 captures", "1 discrepancies open"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let open = reconcile::open(&mut conn).await.unwrap();
    assert_eq!(open.0, reconciled.discrepancies);
    let json = serde_json::to_value(&reconciled).unwrap();
    assert_eq!(json["discrepancies"][0]["theirAmount"], 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_date_it_compares_yesterday_and_today(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let refused = reconcile::run(&mut conn, None, SOON, &author("kim", start())).await.unwrap_err();
    assert!(refused.to_string().contains("not compared yet"), "{refused}");
    let dates: Vec<_> = asked_for(&mut conn).await.into_iter().map(|(_, date)| date).collect();
    assert_eq!(dates, ["2026-11-21", "2026-11-22"]);
    let rows = operator_actions::page(&mut conn, &ActionFilter::default(), 10).await.unwrap();
    let on_record: Vec<_> = rows.iter().rev().map(|row| (row.action.as_str(), &row.after["date"])).collect();
    assert_eq!(on_record, [("reconcile.start", &json!(dates[0])), ("reconcile.start", &json!(dates[1]))]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_that_has_not_come_is_not_compared(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let tomorrow = Some("2026-11-23".parse().unwrap());
    let refused = reconcile::run(&mut conn, tomorrow, SOON, &author("kim", start())).await.unwrap_err();
    assert!(refused.to_string().contains("in the future"), "{refused}");
    assert_eq!(asked_for(&mut conn).await, []);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_accepted_discrepancy_rests_until_its_amounts_change(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    worker_compares(&mut conn, 1, "2026-11-21").await;
    let id = reconcile::open(&mut conn).await.unwrap().0[0].id;

    let accepted =
        reconcile::accept(&mut conn, id, &reason("sold in the shop"), &acting("lee", start())).await.unwrap();
    assert!(accepted.to_string().contains("accepted by operator:lee: sold in the shop"), "{accepted}");
    assert_eq!(reconcile::open(&mut conn).await.unwrap().0, []);

    let again =
        discrepancies::record(&mut conn, accepted.0.date, &unknown_capture(9_900), start()).await.unwrap();
    assert!(again.is_accepted);
    let changed =
        discrepancies::record(&mut conn, accepted.0.date, &unknown_capture(19_900), start()).await.unwrap();
    assert!(!changed.is_accepted);
    assert_eq!(reconcile::open(&mut conn).await.unwrap().0.len(), 1);

    let unknown =
        reconcile::accept(&mut conn, uuid::Uuid::nil(), &reason("why not"), &acting("lee", start())).await;
    assert!(unknown.unwrap_err().to_string().contains("no discrepancy"));
}
