//! A worker dies by SIGKILL while it settles changes of plan: who agreed pays the new price once, who did not pays nothing.

use chrono::TimeDelta;
use common::commands::change_plan::{ChangePlan, change_plan};
use common::commands::consent::{Shown, give_consent, wording};
use common::domain::calendar::Cycle;
use common::domain::subscription::SubscriptionStatus;
use common::store::subscriptions;
use sandbox::Operation;
use sqlx::PgPool;
use testing::until;
use uuid::Uuid;

use crate::kills::{Death, die};
use crate::system::System;

/// The customer wants the dearer plan from the next renewal on, and agrees to its price or does not.
async fn wants_pro(system: &System, id: Uuid, agrees: bool) {
    let mut tx = system.pool.begin().await.unwrap();
    let user_id = subscriptions::find(&mut tx, id).await.unwrap().unwrap().user_id;
    let wish = ChangePlan { subscription_id: id, user_id, actor: "customer:test" };
    let (_, change) = change_plan(&mut tx, wish, "pro", Cycle::Monthly, system.now()).await.unwrap();
    if agrees {
        let text = wording(&change, "프로", None);
        let shown = Shown {
            text: &text,
            amount: change.to.amount,
            effective_on: change.effective_on,
            ip: None,
            forwarded_for: None,
            user_agent: None,
        };
        give_consent(&mut tx, wish, shown, system.now()).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn changes_survive(pool: PgPool, point: &'static str) {
    let system = System::on(pool, "2026-11-22").await;
    let (agrees, silent) = (system.order("ORDER_1").await, system.order("ORDER_2").await);
    let worker = system.worker().start();
    for id in [agrees, silent] {
        until("the first payment", async || system.is(id, SubscriptionStatus::Active).await.then_some(()))
            .await;
    }
    system.quiet().await;
    worker.kill().await;
    system.leases_run_out().await;
    system.set_clock("2026-12-10", "10:00:00").await;
    wants_pro(&system, agrees, true).await;
    wants_pro(&system, silent, false).await;

    system.set_clock("2026-12-22", "02:00:01").await;
    die(&system, Death::At(point), Operation::Charge).await;
    let worker = system.worker().start();
    let settled = async || {
        let books = system.books(agrees).await;
        books.net == 9_900 + 19_900 && system.is(silent, SubscriptionStatus::Canceled).await
    };
    system.live_until("both changes settled", TimeDelta::minutes(15), settled).await;
    system.advance(TimeDelta::days(2)).await;
    system.quiet().await;
    worker.kill().await;

    let books = system.books(agrees).await;
    assert_eq!((books.captures, books.net), (2, 9_900 + 19_900));
    assert_eq!(books.invoices, ["paid", "paid"]);
    let books = system.books(silent).await;
    assert_eq!((books.captures, books.net), (1, 9_900));
    assert_eq!(books.emails.iter().filter(|email| *email == "집체크 구독 종료 안내").count(), 1);
    let ends: Vec<String> = sqlx::query_scalar("select status from plan_changes order by status")
        .fetch_all(&system.pool)
        .await
        .unwrap();
    assert_eq!(ends, ["applied", "lapsed"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn changes_killed_before_their_commit_are_settled_once(pool: PgPool) {
    changes_survive(pool, "before_changes_commit").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn changes_killed_before_the_bills_are_settled_once(pool: PgPool) {
    changes_survive(pool, "after_changes_batch").await;
}
