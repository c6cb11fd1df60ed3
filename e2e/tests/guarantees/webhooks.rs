//! 웹훅: a hint, never proof. Twice, late, out of order and forged change nothing; what is true is booked once.

use chrono::TimeDelta;
use common::domain::{calendar::Cycle, subscription::SubscriptionStatus};
use sandbox::{Effect, Fault, LedgerQuery, Operation};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::PgPool;

use crate::postman::{
    arrive, ask_for_refund, billing_key, booked, books, change, deletion, deliver, end_of, forge,
    refund_in_dashboard, refund_mails,
};
use crate::world::{GOOD, World};

#[sqlx::test(migrations = "../migrations")]
async fn an_event_that_comes_twice_or_late_changes_nothing(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let event = world.sandbox.webhooks().pop().unwrap();
    let before = books(&world).await;
    assert!(deliver(&world, &event).await);
    assert!(!deliver(&world, &event).await, "the same transmission is kept once");
    assert_eq!(end_of(&world, &event.transmission_id).await.0, "handled");
    assert_eq!(books(&world).await, before);

    world.live_until("2026-12-25").await;
    let before = books(&world).await;
    assert!(arrive(&world, "whtrans_late", &event.body).await);
    world.run_due_jobs().await;
    assert_eq!(end_of(&world, "whtrans_late").await.0, "handled");
    assert_eq!(books(&world).await, before);
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn dashboard_refunds_told_out_of_order_are_booked_once_each(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let first = refund_in_dashboard(&world, id, Some(3_000)).await;
    let second = refund_in_dashboard(&world, id, None).await;
    for event in [&second, &first, &second] {
        deliver(&world, event).await;
    }
    let by = || "toss dashboard".to_owned();
    let completed = || "completed".to_owned();
    assert_eq!(booked(&world).await, [(3_000, by(), completed()), (6_900, by(), completed())]);
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(refund_mails(&world), 2);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn forged_events_change_nothing(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let before = books(&world).await;
    let (state, note) = forge(&world, "wrong secret", &change("ORDER_1", Some("ps_guessed"))).await;
    assert!(state == "ignored" && note.starts_with("forged"), "{state} {note}");
    world.advance(TimeDelta::minutes(1));
    let (state, note) = forge(&world, "no secret", &change("ORDER_1", None)).await;
    assert_eq!((state.as_str(), note.as_str()), ("handled", "our books have all of it"));
    for (name, body) in [
        ("unknown order", change("ORDER_2", None)),
        ("no order", change("a'; drop table payments; --\0", None)),
        ("unknown key", deletion(&"guessed".into())),
        ("other event", json!({"eventType": "METHOD_UPDATED", "data": {}})),
        ("no event", json!({"orderId": "ORDER_1", "status": "DONE"})),
    ] {
        assert_eq!(forge(&world, name, &body).await.0, "ignored", "{name}");
    }
    assert!(arrive(&world, "nonsense", "\u{0}hello").await);
    assert_eq!(end_of(&world, "nonsense").await.0, "ignored");
    assert_eq!(books(&world).await, before);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_about_an_unanswered_payment_settles_it_once(pool: PgPool) {
    for job_is_lost in [false, true] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let order = format!("ORDER_{job_is_lost}");
        world.sandbox.fault(Fault::next(Operation::Confirm, Effect::ApproveThenCut)).unwrap();
        let id = world.order(&order, GOOD, "personal", Cycle::Monthly).await;
        world.run_due_jobs().await;
        assert_eq!(world.history(id).await.statuses(), ["unknown"]);
        if job_is_lost {
            sqlx::query("delete from jobs where kind = 'confirm-payment'")
                .execute(&world.pool)
                .await
                .unwrap();
        }
        let event = world.sandbox.webhooks().pop().unwrap();
        deliver(&world, &event).await;
        assert_eq!(world.history(id).await.statuses(), ["completed"], "without waiting for the next look-up");
        assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
        assert_eq!(end_of(&world, &event.transmission_id).await.0, "handled");
        assert_eq!(world.net(id).await, 9_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn money_taken_and_given_back_unseen_is_booked_both_ways(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::ApproveThenCut)).unwrap();
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    let event = refund_in_dashboard(&world, id, None).await;
    deliver(&world, &event).await;
    world.advance(TimeDelta::minutes(1));
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(refund_mails(&world), 1);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dashboard_refund_is_booked_once_whoever_sees_it_first(pool: PgPool) {
    for webhook_comes_first in [true, false] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        for table in ["users", "jobs", "discrepancies", "reconciliation_runs", "webhook_events_in"] {
            let truncate = format!("truncate {table} cascade");
            sqlx::query(sqlx::AssertSqlSafe(truncate)).execute(&world.pool).await.unwrap();
        }
        let id = world.subscriber(Cycle::Monthly).await;
        let event = refund_in_dashboard(&world, id, Some(4_000)).await;
        if webhook_comes_first {
            deliver(&world, &event).await;
        }
        world.live(1).await;
        deliver(&world, &event).await;
        world.live(1).await;
        assert_eq!(booked(&world).await, [(4_000, "toss dashboard".to_owned(), "completed".to_owned())]);
        assert_eq!(world.history(id).await.statuses(), ["partially_refunded"]);
        assert_eq!(refund_mails(&world), 1);
        let discrepancies: Vec<(String, bool)> =
            sqlx::query_as("select kind, resolved_at is not null from discrepancies")
                .fetch_all(&world.pool)
                .await
                .unwrap();
        let expected = if webhook_comes_first { vec![] } else { vec![("unknown_refund".to_owned(), true)] };
        assert_eq!(discrepancies, expected);
        assert_eq!(world.net(id).await, 5_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_of_ours_with_a_lost_answer_is_not_the_dashboards(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(Fault::next(Operation::Cancel, Effect::ApproveThenCut)).unwrap();
    ask_for_refund(&world, id, 4_000).await;
    world.run_due_jobs().await;
    let event = world.sandbox.webhooks().pop().unwrap();
    deliver(&world, &event).await;
    assert_eq!(booked(&world).await, [(4_000, "operator:kim".to_owned(), "unknown".to_owned())]);
    for _ in 0..10 {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
    assert_eq!(booked(&world).await, [(4_000, "operator:kim".to_owned(), "completed".to_owned())]);
    assert_eq!(end_of(&world, &event.transmission_id).await.1, "our books have all of it");
    assert_eq!(refund_mails(&world), 1);
    assert_eq!(world.net(id).await, 5_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_reported_deletion_is_noted_and_the_next_charge_decides(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = billing_key(&world, id).await;
    let deleted = world.env.toss.delete_billing_key(&toss::BillingKey::new(key.clone())).await;
    assert!(matches!(deleted, toss::DeleteOutcome::Gone { .. }), "{deleted:?}");
    let event = world.sandbox.webhooks().pop().unwrap();
    deliver(&world, &event).await;
    deliver(&world, &event).await;
    let mails = world.subjects().len();
    world.live(2).await;

    assert_eq!(world.subjects().len(), mails, "no e-mail before a charge has failed");
    assert!(world.history(id).await.subscription.sealed_billing_key.is_some(), "it may not be true");
    let whats: Vec<String> = sqlx::query_scalar("select what from subscription_events where actor = 'toss'")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(whats, ["billing_key.reported_deleted"]);
    let kept: Vec<Vec<u8>> =
        sqlx::query_scalar("select body from webhook_events_in").fetch_all(&world.pool).await.unwrap();
    let leaks =
        kept.iter().filter(|body| String::from_utf8_lossy(body).contains(key.expose_secret())).count();
    assert_eq!(leaks, 0);

    world.live_until("2026-12-23").await;
    let history = world.history(id).await;
    assert_eq!(history.status(), SubscriptionStatus::PastDue);
    assert_eq!(history.payments[1].toss_code.as_deref(), Some("ALREADY_REMOVED_BILLING_KEY"));
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forged_deletion_does_not_stop_the_card_from_being_charged(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = billing_key(&world, id).await;
    assert_eq!(forge(&world, "forged", &deletion(&key)).await.0, "handled");
    world.live_until("2026-12-23").await;
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_whose_job_is_lost_is_found_by_the_sweep(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let event = refund_in_dashboard(&world, id, None).await;
    arrive(&world, &event.transmission_id, &event.body).await;
    sqlx::query("delete from jobs").execute(&world.pool).await.unwrap();
    world.advance(TimeDelta::minutes(3));
    world.settle().await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_unsettled_for_three_days_goes_to_a_person(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live(1).await;
    let event = refund_in_dashboard(&world, id, None).await;
    arrive(&world, &event.transmission_id, &event.body).await;
    sqlx::query("delete from jobs").execute(&world.pool).await.unwrap();
    world.advance(TimeDelta::days(3) + TimeDelta::minutes(1));
    world.settle().await;
    assert_eq!(end_of(&world, &event.transmission_id).await.0, "failed");
    // The comparison of the books has found what it hinted at.
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_toss_cannot_be_asked_an_event_waits(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let event = refund_in_dashboard(&world, id, None).await;
    world.sandbox.fault(Fault::next(Operation::Lookup, Effect::Error500NotApproved)).unwrap();
    deliver(&world, &event).await;
    assert_eq!(end_of(&world, &event.transmission_id).await.0, "received");
    world.advance(TimeDelta::minutes(2));
    world.run_due_jobs().await;
    assert_eq!(end_of(&world, &event.transmission_id).await.0, "handled");
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_may_still_charge_is_never_kept_in_clear(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = billing_key(&world, id).await;
    let event = world.sandbox.webhooks().pop().unwrap();
    assert!(event.body.contains(key.expose_secret()), "the sandbox tells it, as the guide expects");
    arrive(&world, &event.transmission_id, &event.body).await;
    let body: Vec<u8> =
        sqlx::query_scalar("select body from webhook_events_in").fetch_one(&world.pool).await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), event.body.replace(key.expose_secret(), "****"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_that_nobody_has_to_look_at_is_forgotten(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    assert_eq!(forge(&world, "of interest", &change("ORDER_1", None)).await.0, "handled");
    assert_eq!(forge(&world, "of none", &change("ORDER_2", None)).await.0, "ignored");
    arrive(&world, "for a person", "[]").await;
    let failed = "update webhook_events_in set state = 'failed' where transmission_id = 'for a person'";
    sqlx::query(failed).execute(&world.pool).await.unwrap();
    let left = "select array_agg(transmission_id order by transmission_id) from webhook_events_in";
    for (days, kept) in [(29, vec!["for a person", "of interest", "of none"]), (2, vec!["for a person"])] {
        world.live(days).await;
        worker::maintenance::delete_expired(&world.env).await.unwrap();
        let left: Vec<String> = sqlx::query_scalar(left).fetch_one(&world.pool).await.unwrap();
        assert_eq!(left, kept, "{days} more days");
    }
    assert_eq!(world.net(id).await, 9_900 * 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_flood_of_events_reads_a_payment_back_once_a_minute(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let asked = |world: &World| world.sandbox.ledger(&LedgerQuery::default()).asked(Operation::Lookup);
    for n in 0..50 {
        arrive(&world, &format!("flood {n}"), &change("ORDER_1", None).to_string()).await;
    }
    world.run_due_jobs().await;
    assert_eq!(asked(&world), 1);
    world.advance(TimeDelta::minutes(1));
    world.run_due_jobs().await;
    assert!(asked(&world) <= 2);
    let open = "select count(*) from webhook_events_in where state = 'received'";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&world.pool).await.unwrap();
    assert_eq!((open, world.net(id).await), (0, 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_that_is_told_in_a_flood_is_booked_within_a_minute(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    for n in 0..20 {
        arrive(&world, &format!("flood {n}"), &change("ORDER_1", None).to_string()).await;
    }
    world.run_due_jobs().await;
    let event = refund_in_dashboard(&world, id, None).await;
    deliver(&world, &event).await;
    world.advance(TimeDelta::minutes(1));
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.statuses(), ["refunded"]);
    assert_eq!(world.net(id).await, 0);
}
