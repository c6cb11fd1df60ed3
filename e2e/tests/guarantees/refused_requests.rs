//! A request that Toss refuses because of how it is made: mended where that is possible, and ended where it is not.

use chrono::TimeDelta;
use common::domain::{calendar::Cycle, subscription::SubscriptionStatus};
use sandbox::{Effect, FailedChargeLookup, Fault, Operation};
use sqlx::PgPool;

use crate::lost_answers::renewal_with;
use crate::world::{GOOD, World};

fn error(code: &str) -> Effect {
    Effect::Error { code: code.to_owned(), status: Some(400), message: None }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_optional_field_that_toss_refuses_is_left_out(pool: PgPool) {
    for (code, field) in [("INVALID_EMAIL", "customerEmail"), ("INVALID_REQUEST", "customerName")] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let id = renewal_with(&mut world, error(code)).await;
        world.advance(TimeDelta::seconds(2));
        world.run_due_jobs().await;
        assert_eq!(world.history(id).await.statuses(), ["completed", "completed"], "{code}");
        let told = "select why from subscription_events where what = 'payment.field_refused'";
        let why: String = sqlx::query_scalar(told).fetch_one(&pool).await.unwrap();
        assert!(why.contains(field) && why.contains(code), "{why}");
        assert_eq!(world.net(id).await, 2 * 9_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_that_is_never_taken_ends_with_its_buyers_time(pool: PgPool) {
    for code in ["NOT_FOUND_TERMINAL_ID", "UNAUTHORIZED_KEY"] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        world.sandbox.fault(Fault::next(Operation::Confirm, error(code)).times(1_000_000)).unwrap();
        let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
        for _ in 0..35 {
            world.run_due_jobs().await;
            world.advance(TimeDelta::minutes(1));
        }
        let history = world.history(id).await;
        assert_eq!(
            (history.status(), history.statuses()),
            (SubscriptionStatus::Canceled, vec!["failed".to_owned()])
        );
        assert!(world.unsettled_invoices(id).await.is_empty(), "{code}");
        assert_eq!(world.subjects(), ["집체크 구독 신청 취소 안내"], "{code}");
        assert_eq!(world.net(id).await, 0);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unlisted_code_is_no_decline_though_toss_shows_aborted(pool: PgPool) {
    for code in ["A_CODE_OF_TOMORROW", "CARD_PROCESSING_ERROR"] {
        sqlx::query("truncate users, jobs cascade").execute(&pool).await.unwrap();
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        world.sandbox.set_switches(|switches| switches.failed_charge_lookup = FailedChargeLookup::Aborted);
        let id = renewal_with(&mut world, error(code)).await;
        for _ in 0..100 {
            world.advance(TimeDelta::minutes(1));
            world.run_due_jobs().await;
            assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active, "{code}");
        }
        assert_eq!(world.history(id).await.statuses(), ["completed", "completed"], "{code}");
        assert!(!world.subjects().contains(&"집체크 구독 결제 실패".to_owned()), "{code}");
        assert_eq!(world.net(id).await, 2 * 9_900);
    }
}
