//! How events reach the merchant's application: again until taken, in order, signed, and never from a copied database.

use chrono::TimeDelta;
use common::domain::calendar::Cycle;
use common::id::subscription_ref;
use common::store::gate::Instance;
use common::store::sweep::make_delivery_job;
use common::store::webhook_deliveries::{EventFilter, EventRow};
use common::store::{gate, webhook_deliveries};
use sqlx::PgPool;
use uuid::Uuid;

use crate::receiver::{Mood, Receiver, SECRET, listened_to};
use crate::world::World;

const NEXT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Oldest first.
async fn outbox(world: &World) -> Vec<EventRow> {
    let mut conn = world.pool.acquire().await.unwrap();
    let mut rows = webhook_deliveries::list(&mut conn, &EventFilter::default(), 1_000).await.unwrap();
    rows.reverse();
    rows
}

async fn states(world: &World) -> Vec<String> {
    outbox(world).await.into_iter().map(|row| row.state).collect()
}

/// Turns the clock to the next try of this kind of event and lets it happen.
async fn next_try(world: &mut World) {
    let next: Option<chrono::DateTime<chrono::Utc>> = sqlx::query_scalar(
        "select min(run_at) from jobs where kind = 'deliver-event' and state = 'available'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let wait = next.unwrap() - world.now();
    world.advance(wait.max(TimeDelta::zero()) + TimeDelta::milliseconds(1));
    world.run_due_jobs().await;
}

async fn replay(world: &World, filter: EventFilter) -> usize {
    let mut tx = world.pool.begin().await.unwrap();
    let events = webhook_deliveries::settled(&mut tx, &filter).await.unwrap();
    for event in &events {
        let subscription_id = webhook_deliveries::replay(&mut tx, *event).await.unwrap().unwrap();
        make_delivery_job(&mut tx, subscription_id, world.now()).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.run_due_jobs().await;
    events.len()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_not_taken_is_sent_again_byte_for_byte(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    receiver.will([Mood::Answer(500), Mood::Cut, Mood::Hang, Mood::SendElsewhere, Mood::Answer(404)]);
    let id = world.subscriber(Cycle::Monthly).await;
    for _ in 0..5 {
        assert_eq!(states(&world).await, ["pending", "pending"]);
        next_try(&mut world).await;
    }
    let arrived = receiver.arrived();
    assert_eq!((arrived.len(), states(&world).await), (7, vec!["delivered".to_owned(); 2]));
    let (first, second) = arrived.split_at(6);
    for event in first {
        assert_eq!((&event.id, &event.body), (&first[0].id, &first[0].body));
        assert!(event.is_signed_with(SECRET));
        // A receiver compares it with its own clock, whatever ours was turned to.
        let age = common::clock::Clock::System.now().timestamp() - event.timestamp;
        assert!((0..300).contains(&age), "{age} s");
    }
    assert_ne!(second[0].id, first[0].id);
    let reasons: Vec<String> = sqlx::query_scalar(
        "select last_error from jobs where kind = 'deliver-event' and state = 'failed' order by id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let expected =
        ["answered 500", "no answer: ", "no answer within 1 s", "redirects are not followed", "answered 404"];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.starts_with("payment.succeeded: ") && reason.contains(expected), "{reason}");
    }
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_later_event_never_overtakes_and_holds_up_nobody_else(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    receiver.forget();
    receiver.dislikes(Some(&subscription_ref(id)));
    world.cancel(id).await;
    world.live(1).await;
    let canceled = receiver.arrived().len();
    assert!(canceled > 1 && receiver.kinds().iter().all(|kind| kind == "subscription.canceled"));
    let mut tx = world.pool.begin().await.unwrap();
    let wish = common::commands::resume::ResumeSubscription {
        subscription_id: id,
        user_id: None,
        actor: "customer:test",
    };
    common::commands::resume::resume_subscription(&mut tx, wish, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let other = world.subscriber_called("ORDER_2", Cycle::Monthly).await;
    world.settle().await;
    let of_other = |event: &&crate::receiver::Arrived| event.body.contains(&subscription_ref(other));
    assert_eq!(receiver.arrived().iter().filter(of_other).count(), 2);
    assert!(!receiver.kinds().contains(&"subscription.resumed".to_owned()));

    receiver.dislikes(None);
    receiver.forget();
    next_try(&mut world).await;
    assert_eq!(receiver.kinds(), ["subscription.canceled", "subscription.resumed"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_three_days_an_event_is_given_up_and_the_next_goes(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-12-20").await;
    receiver.dislikes(Some("payment.succeeded"));
    let id = world.subscriber(Cycle::Monthly).await;
    world.live(2).await;
    assert_eq!(states(&world).await, ["pending", "pending"]);
    world.live(1).await;
    next_try(&mut world).await;
    assert_eq!(states(&world).await, ["failed", "delivered"]);
    let given_up = &outbox(&world).await[0];
    assert_eq!(
        given_up.last_error.as_deref(),
        Some("given up after 3 days: answered 500 Internal Server Error")
    );
    assert!(given_up.tries > 5);
    assert_eq!(receiver.kinds().last().unwrap(), "subscription.activated");

    world.live_until("2027-01-21").await;
    assert_eq!(world.net(id).await, 2 * 9_900);

    // Operators have what failed delivered again, with three new days of tries.
    receiver.dislikes(None);
    world.live(4).await;
    receiver.forget();
    let failed = EventFilter { state: Some("failed".to_owned()), ..EventFilter::default() };
    assert_eq!(replay(&world, failed.clone()).await, 1);
    assert_eq!(receiver.arrived().len(), 1);
    assert_eq!(replay(&world, failed).await, 0);
    let everything = EventFilter { subscription_id: Some(id), ..EventFilter::default() };
    receiver.forget();
    assert_eq!(replay(&world, everything).await, 3);
    let ids: Vec<_> = outbox(&world).await.iter().map(|row| common::id::event_ref(row.id)).collect();
    assert_eq!(receiver.arrived().iter().map(|event| event.id.clone()).collect::<Vec<_>>(), ids);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_secrets_rotate_each_signs(pool: PgPool) {
    let receiver = Receiver::start().await;
    let both = format!("{NEXT_SECRET},{SECRET}");
    let world = World::telling(pool, "2026-11-22", Some(receiver.endpoint(&both))).await;
    world.subscriber(Cycle::Monthly).await;
    for event in receiver.arrived() {
        assert!(event.is_signed_with(SECRET) && event.is_signed_with(NEXT_SECRET), "{event:?}");
        assert_eq!(event.signatures.len(), 2);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_gone_endpoint_is_left_alone_until_an_operator_acts(pool: PgPool) {
    let (world, receiver) = listened_to(pool, "2026-11-22").await;
    receiver.will([Mood::Answer(410)]);
    let id = world.subscriber(Cycle::Monthly).await;
    world.cancel(id).await;
    world.settle().await;
    assert_eq!(receiver.arrived().len(), 1);
    assert_eq!(states(&world).await, ["failed", "none", "none"]);
    let mut conn = world.pool.acquire().await.unwrap();
    let stand = webhook_deliveries::endpoint(&mut conn).await.unwrap();
    assert!(!stand.enabled && stand.why.unwrap().contains("410"));
    // The same endpoint, announced again by a worker that starts, stays off.
    worker::sweep::announce_endpoint(&world.env).await.unwrap();
    assert!(!webhook_deliveries::endpoint(&mut conn).await.unwrap().enabled);

    assert!(
        webhook_deliveries::switch_endpoint(&mut conn, true, "operator:kim", "it is back", world.now())
            .await
            .unwrap()
    );
    assert_eq!(replay(&world, EventFilter::default()).await, 3);
    let expected =
        ["payment.succeeded", "payment.succeeded", "subscription.activated", "subscription.canceled"];
    assert_eq!(receiver.kinds(), expected);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_event_job_costs_time_and_sends_the_same_id(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    receiver.will([Mood::Answer(500)]);
    world.subscriber(Cycle::Monthly).await;
    sqlx::query("delete from jobs where kind = 'deliver-event'").execute(&world.pool).await.unwrap();
    world.advance(TimeDelta::minutes(3));
    world.settle().await;
    assert_eq!(states(&world).await, ["delivered", "delivered"]);

    // A worker that died between the answer and its commit.
    sqlx::query(
        "update webhook_deliveries set state = 'pending', settled_at = null
          where event_id = (select id from webhook_events_out where type = 'payment.succeeded')",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    world.settle().await;
    let ids: Vec<_> = receiver.arrived().into_iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(ids.iter().filter(|id| **id == ids[0]).count(), 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_copied_database_tells_nobody(pool: PgPool) {
    let (world, receiver) = listened_to(pool, "2026-11-22").await;
    receiver.will([Mood::Answer(500)]);
    world.subscriber(Cycle::Monthly).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let production = Instance { id: "production".to_owned(), merchant: "m".to_owned() };
    gate::bind(&mut conn, &production).await.unwrap();
    let elsewhere = Receiver::start().await;
    let copy = World::telling(world.pool.clone(), "2026-11-23", Some(elsewhere.endpoint(SECRET))).await;
    copy.settle().await;
    assert_eq!((receiver.arrived().len(), elsewhere.arrived().len()), (1, 0));
    let announced = webhook_deliveries::endpoint(&mut conn).await.unwrap().endpoint.unwrap();
    assert!(receiver.url.starts_with(&announced), "the copy took it over: {announced}");
    gate::unbind(&mut conn).await.unwrap();
    sqlx::query("update jobs set run_at = created_at, due_at = created_at where state = 'available'")
        .execute(&world.pool)
        .await
        .unwrap();
    world.run_due_jobs().await;
    assert_eq!(receiver.arrived().len(), 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn events_that_wait_when_delivery_is_turned_off_are_kept(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    receiver.will([Mood::Answer(503)]);
    let id: Uuid = world.subscriber(Cycle::Monthly).await;
    let mut conn = world.pool.acquire().await.unwrap();
    webhook_deliveries::switch_endpoint(&mut conn, false, "operator:kim", "a move", world.now())
        .await
        .unwrap();
    next_try(&mut world).await;
    assert_eq!((states(&world).await, receiver.arrived().len()), (vec!["none".to_owned(); 2], 1));
    assert_eq!(world.net(id).await, 9_900);
}
