//! 웹훅: a hint, never proof. Twice, late, out of order and forged change nothing; what is true is booked once.

use chrono::TimeDelta;
use common::{
    commands::receive_webhook::{Arrival, receive_webhook},
    domain::{
        calendar::Cycle,
        money::Won,
        refund::{Refund, RefundStatus},
        subscription::SubscriptionStatus,
    },
    id::{new_id, new_key},
    jobs::{self, RefundPayment},
    store::refunds,
};
use sandbox::{Effect, Fault, Operation, Webhook};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{GOOD, World};

/// Arrives as Toss sends it. Answers whether it is news.
async fn arrive(world: &World, transmission_id: &str, body: &str) -> bool {
    let arrival = Arrival {
        transmission_id: Some(transmission_id.to_owned()),
        transmission_time: Some("2026-12-22T02:00:00+09:00".to_owned()),
        body: body.into(),
        ..Arrival::default()
    };
    let mut tx = world.pool.begin().await.unwrap();
    let id = receive_webhook(&mut tx, &arrival, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    id.is_some()
}

/// The event is delivered, and whatever follows from it at once is done.
async fn deliver(world: &World, webhook: &Webhook) -> bool {
    let is_new = arrive(world, &webhook.transmission_id, &webhook.body).await;
    world.run_due_jobs().await;
    is_new
}

async fn forge(world: &World, name: &str, body: &Value) -> (String, String) {
    arrive(world, name, &body.to_string()).await;
    world.run_due_jobs().await;
    end_of(world, name).await
}

/// State and note of a webhook.
async fn end_of(world: &World, transmission_id: &str) -> (String, String) {
    sqlx::query_as("select state, coalesce(note, '') from webhook_events_in where transmission_id = $1")
        .bind(transmission_id)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// Everything that money and customers are about, to the letter.
async fn books(world: &World) -> Vec<String> {
    let sql = "select p::text from payments p union all select r::text from refunds r
               union all select i::text from invoices i union all select s::text from subscriptions s
               union all select e::text from subscription_events e union all select m.unique_key from emails m
               order by 1";
    sqlx::query_scalar(sql).fetch_all(&world.pool).await.unwrap()
}

/// Amount, who asked, and status of each refund, smallest first.
async fn booked(world: &World) -> Vec<(i32, String, String)> {
    let sql = "select amount, requested_by, status from refunds order by amount";
    sqlx::query_as(sql).fetch_all(&world.pool).await.unwrap()
}

fn refund_mails(world: &World) -> usize {
    world.subjects().iter().filter(|subject| *subject == "집체크 환불 완료").count()
}

/// A refund in Toss's dashboard; answers the event that tells of it.
async fn refund_in_dashboard(world: &World, id: Uuid, amount: Option<i64>) -> Webhook {
    let key = world.story(id).await.payments[0].payment_key.clone().unwrap();
    world.sandbox.cancel_in_dashboard(&key, amount, "고객 요청").unwrap();
    world.sandbox.webhooks().pop().unwrap()
}

/// A refund of our own is asked for; its job has not run yet.
async fn ask_for_refund(world: &World, id: Uuid, amount: i64) {
    let refund = Refund {
        id: new_id(world.now()),
        payment_id: world.story(id).await.payments[0].id,
        amount: Won::new(amount).unwrap(),
        reason: "고객 요청".to_owned(),
        requested_by: "operator:kim".to_owned(),
        idempotency_key: new_key(),
        status: RefundStatus::Pending,
        sent_at: None,
        first_sent_at: None,
        unknown_since: None,
    };
    let mut tx = world.pool.begin().await.unwrap();
    refunds::insert(&mut tx, &refund, "asked", world.now()).await.unwrap();
    let job = RefundPayment { refund_id: refund.id, subscription_id: id };
    jobs::enqueue(&mut tx, &job, world.now(), world.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn billing_key(world: &World, id: Uuid) -> SecretString {
    let sealed = world.story(id).await.subscription.sealed_billing_key.unwrap();
    world.env.sealer.open(&sealed, id).unwrap()
}

fn deletion(key: &SecretString) -> Value {
    json!({"eventType": "BILLING_DELETED", "createdAt": "2026-12-01T00:00:00.000000",
           "data": {"billingKey": key.expose_secret(), "reason": "삭제 API 요청"}})
}

fn change(order_id: &str, secret: Option<&str>) -> Value {
    json!({"eventType": "PAYMENT_STATUS_CHANGED",
           "data": {"orderId": order_id, "paymentKey": "forged", "status": "CANCELED", "secret": secret,
                    "totalAmount": 9_900, "balanceAmount": 0,
                    "cancels": [{"cancelAmount": 9_900, "transactionKey": "forged", "cancelStatus": "DONE"}]}})
}

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
    assert_eq!(world.story(id).await.statuses(), ["completed", "completed"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn refunds_of_the_dashboard_that_are_told_out_of_order_are_booked_once_each(pool: PgPool) {
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
    assert_eq!(world.story(id).await.statuses(), ["refunded"]);
    assert_eq!(refund_mails(&world), 2);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn forged_events_change_nothing(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let before = books(&world).await;
    let (state, note) = forge(&world, "wrong secret", &change("ORDER_1", Some("ps_guessed"))).await;
    assert!(state == "ignored" && note.starts_with("forged"), "{state} {note}");
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
async fn an_event_about_an_attempt_without_an_answer_has_it_settled_at_once_and_once(pool: PgPool) {
    for job_is_lost in [false, true] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        let order = format!("ORDER_{job_is_lost}");
        world.sandbox.fault(Fault::next(Operation::Confirm, Effect::ApproveThenCut)).unwrap();
        let id = world.order(&order, GOOD, "personal", Cycle::Monthly).await;
        world.run_due_jobs().await;
        assert_eq!(world.story(id).await.statuses(), ["unknown"]);
        if job_is_lost {
            sqlx::query("delete from jobs where kind = 'confirm-payment'")
                .execute(&world.pool)
                .await
                .unwrap();
        }
        let event = world.sandbox.webhooks().pop().unwrap();
        deliver(&world, &event).await;
        assert_eq!(world.story(id).await.statuses(), ["completed"], "without waiting for the next look-up");
        assert_eq!(world.story(id).await.status(), SubscriptionStatus::Active);
        world.advance(TimeDelta::seconds(30));
        world.run_due_jobs().await;
        assert_eq!(end_of(&world, &event.transmission_id).await.0, "handled");
        assert_eq!(world.net(id).await, 9_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn money_that_was_taken_and_given_back_before_we_knew_is_booked_both_ways(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::ApproveThenCut)).unwrap();
    let id = world.order("ORDER_1", GOOD, "personal", Cycle::Monthly).await;
    world.run_due_jobs().await;
    let event = refund_in_dashboard(&world, id, None).await;
    deliver(&world, &event).await;
    world.advance(TimeDelta::seconds(30));
    world.run_due_jobs().await;
    assert_eq!(world.story(id).await.statuses(), ["refunded"]);
    assert_eq!(refund_mails(&world), 1);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_of_the_dashboard_is_booked_once_whoever_sees_it_first(pool: PgPool) {
    for webhook_comes_first in [true, false] {
        let mut world = World::on(pool.clone(), "2026-11-22").await;
        for table in ["users", "jobs", "reconciliation_breaks", "reconciliation_runs", "webhook_events_in"] {
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
        assert_eq!(world.story(id).await.statuses(), ["partially_refunded"]);
        assert_eq!(refund_mails(&world), 1);
        let breaks: Vec<(String, bool)> =
            sqlx::query_as("select kind, resolved_at is not null from reconciliation_breaks")
                .fetch_all(&world.pool)
                .await
                .unwrap();
        let expected = if webhook_comes_first { vec![] } else { vec![("unknown_refund".to_owned(), true)] };
        assert_eq!(breaks, expected);
        assert_eq!(world.net(id).await, 5_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_of_ours_whose_answer_is_lost_is_not_taken_for_the_dashboards(pool: PgPool) {
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
async fn a_deleted_billing_key_is_told_to_its_owner_once_and_kept(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = billing_key(&world, id).await;
    let deleted = world.env.toss.delete_billing_key(&toss::BillingKey::new(key.clone())).await;
    assert!(matches!(deleted, toss::DeleteOutcome::Gone { .. }), "{deleted:?}");
    let event = world.sandbox.webhooks().pop().unwrap();
    deliver(&world, &event).await;
    assert_eq!(forge(&world, "again", &deletion(&key)).await.0, "handled");
    world.live(2).await;

    let asked =
        |world: &World| world.subjects().iter().filter(|it| *it == "집체크 결제 카드 확인 안내").count();
    assert_eq!(asked(&world), 1);
    assert!(world.story(id).await.subscription.sealed_billing_key.is_some(), "it may not be true");
    let whats: Vec<String> = sqlx::query_scalar("select what from subscription_events where actor = 'toss'")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(whats, ["card.in_doubt"]);
    let kept: Vec<Vec<u8>> =
        sqlx::query_scalar("select body from webhook_events_in").fetch_all(&world.pool).await.unwrap();
    let leaks =
        kept.iter().filter(|body| String::from_utf8_lossy(body).contains(key.expose_secret())).count();
    assert_eq!(leaks, 0);

    world.live_until("2026-12-23").await;
    let story = world.story(id).await;
    assert_eq!(story.status(), SubscriptionStatus::PastDue, "the charge has told");
    assert_eq!(story.payments[1].toss_code.as_deref(), Some("ALREADY_REMOVED_BILLING_KEY"));
    assert_eq!(asked(&world), 1);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forged_deletion_does_not_stop_the_card_from_being_charged(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let key = billing_key(&world, id).await;
    assert_eq!(forge(&world, "forged", &deletion(&key)).await.0, "handled");
    let in_doubt = "select count(*) from subscriptions where card_suspect_since is not null";
    let count: i64 = sqlx::query_scalar(in_doubt).fetch_one(&world.pool).await.unwrap();
    assert_eq!(count, 1);
    world.live_until("2026-12-23").await;
    assert_eq!(world.story(id).await.statuses(), ["completed", "completed"]);
    let count: i64 = sqlx::query_scalar(in_doubt).fetch_one(&world.pool).await.unwrap();
    assert_eq!(count, 0, "the charge has told");
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
    assert_eq!(world.story(id).await.statuses(), ["refunded"]);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_toss_cannot_be_asked_an_event_waits_and_is_handled_later(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let event = refund_in_dashboard(&world, id, None).await;
    world.sandbox.fault(Fault::next(Operation::Lookup, Effect::Error500NotApproved)).unwrap();
    deliver(&world, &event).await;
    assert_eq!(end_of(&world, &event.transmission_id).await.0, "received");
    world.advance(TimeDelta::minutes(2));
    world.run_due_jobs().await;
    assert_eq!(end_of(&world, &event.transmission_id).await.0, "handled");
    assert_eq!(world.story(id).await.statuses(), ["refunded"]);
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
