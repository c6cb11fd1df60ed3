//! What stops charges that should not be made: a broken gateway, an absurd rate of declines, a copied database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use common::domain::breaker::GatewayAccount;
use common::domain::calendar::Cycle;
use common::domain::subscription::SubscriptionStatus;
use common::store::gate::{Instance, Lane};
use common::store::{gate, settings};
use sandbox::{Effect, Fault, LedgerQuery, Operation};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;
use worker::gateway::rate_limiter::RateLimiter;
use worker::{jobs, scheduler, sweep};

use crate::lost_answers::renewal_with;
use crate::world::{GOOD, World, reason};

async fn subscribers(world: &World, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(world.subscriber_called(&format!("ORDER_{n:04}"), Cycle::Monthly).await);
    }
    ids
}

fn asked(world: &World, operation: Operation) -> u64 {
    world.sandbox.ledger(&LedgerQuery::default()).asked(operation)
}

#[sqlx::test(migrations = "../migrations")]
async fn after_ten_failures_toss_is_left_alone_and_no_try_is_lost(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = subscribers(&world, 20).await;
    world.live_until("2026-12-21").await;
    let fault = Fault::next(Operation::Charge, Effect::Status429).times(1_000_000);
    let broken = world.sandbox.fault(fault).unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;

    assert_eq!(asked(&world, Operation::Charge), 10);
    for id in &ids {
        assert_eq!(world.history(*id).await.status(), SubscriptionStatus::Active);
    }
    assert!(!world.subjects().contains(&"집체크 구독 결제 실패".to_owned()));

    assert!(world.sandbox.remove_fault(broken));
    world.live(1).await;
    for id in &ids {
        assert_eq!(world.net(*id).await, 2 * 9_900);
    }
}

/// What is wrong with one subscription's request says nothing about the gateway.
#[sqlx::test(migrations = "../migrations")]
async fn a_request_toss_cannot_take_keeps_it_from_nobody_else(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = subscribers(&world, 14).await;
    world.live_until("2026-12-21").await;
    let (healthy, broken) = ids.split_last().unwrap();
    for id in broken {
        let customer = world.history(*id).await.subscription.customer_key;
        let refused =
            Effect::Error { code: "NOT_MATCHES_CUSTOMER_KEY".to_owned(), status: None, message: None };
        let fault = Fault::next(Operation::Charge, refused).times(1_000_000).for_customer(&customer);
        world.sandbox.fault(fault).unwrap();
    }
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    assert_eq!(world.net(*healthy).await, 2 * 9_900);
    for id in broken {
        assert_eq!(world.history(*id).await.status(), SubscriptionStatus::Active);
    }
}

/// While nobody may ask, no answer comes that would say so.
#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_of_a_day_is_reviewed_while_toss_is_away(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = subscribers(&world, 12).await;
    world.live_until("2026-12-21").await;
    world.sandbox.fault(Fault::next(Operation::Charge, Effect::ApproveThenCut).times(1_000_000)).unwrap();
    world
        .sandbox
        .fault(Fault::next(Operation::Lookup, Effect::Error500NotApproved).times(1_000_000))
        .unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    for _ in 0..25 * 12 {
        world.advance(TimeDelta::minutes(5));
        sweep::sweep(&world.env).await.unwrap();
        world.run_due_jobs().await;
    }
    let unseen = "select count(*) from payments where review_since is null and unknown_since < $1";
    let a_day_ago = world.now() - TimeDelta::hours(24) - TimeDelta::minutes(10);
    let unseen: i64 = sqlx::query_scalar(unseen).bind(a_day_ago).fetch_one(&world.pool).await.unwrap();
    let seen = "select count(*) from payments where review_since is not null";
    let seen: i64 = sqlx::query_scalar(seen).fetch_one(&world.pool).await.unwrap();
    assert_eq!((unseen, seen), (0, 10));
    world.sandbox.clear_faults();
    world.live(2).await;
    for id in &ids {
        assert_eq!(world.net(*id).await, 2 * 9_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn mass_declines_stop_charging_until_an_operator_looks(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = subscribers(&world, 40).await;
    for id in &ids {
        world.card_now(*id, "REJECT_CARD_PAYMENT").await;
    }
    world.live_until("2026-12-22").await;

    assert_eq!(asked(&world, Operation::Charge), 30);
    let mut tx = world.pool.begin().await.unwrap();
    let switch = settings::charging_switch(&mut tx).await.unwrap();
    assert!(!switch.enabled);
    assert_eq!(switch.why.as_deref(), Some("30 of the last 30 first charges were declined"));

    for id in &ids {
        world.card_now(*id, "pays").await;
    }
    settings::switch_charging(&mut tx, true, "operator", "the contract is back", world.now()).await.unwrap();
    tx.commit().await.unwrap();
    world.live(4).await;
    for id in &ids {
        assert_eq!(world.net(*id).await, 2 * 9_900);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_good_morning_does_not_hide_a_total_failure_at_noon(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let ids = subscribers(&world, 160).await;
    for id in ids.iter().skip(100) {
        world.card_now(*id, "REJECT_CARD_PAYMENT").await;
    }
    // Those who pay have settled by the time the others are declined.
    let later = "update subscriptions set next_billing_date = next_billing_date + interval '5 hours'
                  where customer_key = any ($1)";
    let mut declined = Vec::new();
    for id in ids.iter().skip(100) {
        declined.push(world.history(*id).await.subscription.customer_key);
    }
    sqlx::query(later).bind(&declined).execute(&world.pool).await.unwrap();
    world.live_until("2026-12-23").await;
    let mut conn = world.pool.acquire().await.unwrap();
    assert!(!settings::charging_switch(&mut conn).await.unwrap().enabled);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_key_of_the_same_merchant_stops_nothing(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.install("production", "old key");
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-23").await;
    world.install("production", "new key");
    world.live_until("2027-01-23").await;
    assert_eq!(world.net(id).await, 3 * 9_900);
    // A worker that was not restarted yet.
    world.install("production", "old key");
    world.live_until("2027-02-23").await;
    assert_eq!(world.net(id).await, 4 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_does_not_find_our_charges_charges_nobody(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    world.install("production", "our key");
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-23").await;
    world.install("production", "another merchant's key");
    world.sandbox.fault(Fault::next(Operation::Lookup, Effect::Lookup404).times(1_000_000)).unwrap();
    world.live_until("2027-01-23").await;
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_copied_database_waits_for_an_operator_to_release_it(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let production = Instance { id: "production".to_owned(), merchant: "another".to_owned() };
    let mut conn = world.pool.acquire().await.unwrap();
    gate::bind(&mut conn, &production).await.unwrap();
    let told = world.emails().len();

    world.live_until("2026-12-24").await;
    assert_eq!(asked(&world, Operation::Charge), 0);
    assert_eq!(world.emails().len(), told);

    gate::unbind(&mut conn).await.unwrap();
    world.live(1).await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_takes_a_turn_before_it_calls_toss(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    sqlx::query("update gateway_pace set next_turn = '2000-01-01'").execute(&world.pool).await.unwrap();
    world.live_until("2026-12-23").await;
    let taken = "select count(*) from gateway_pace where next_turn > '2001-01-01'";
    assert!(sqlx::query_scalar::<_, i64>(taken).fetch_one(&world.pool).await.unwrap() > 0);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

/// Seconds to wait for a turn, where all lanes together have one a second.
async fn turn(pool: &PgPool, lane: Lane) -> f64 {
    let mut conn = pool.acquire().await.unwrap();
    gate::take_turns(&mut conn, lane, Duration::from_secs(1), Duration::ZERO)
        .await
        .unwrap()
        .wait
        .as_secs_f64()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_flood_of_one_kind_of_call_leaves_every_other_its_share(pool: PgPool) {
    for _ in 0..100 {
        turn(&pool, Lane::Confirmation).await;
    }
    for (lane, share) in
        [(Lane::Charge, 0.3), (Lane::Refund, 0.1), (Lane::LookUp, 0.15), (Lane::Webhook, 0.05)]
    {
        let wait = turn(&pool, lane).await;
        assert!(wait <= 1.0 / share, "{lane}: {wait} s");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_lanes_together_keep_the_rate(pool: PgPool) {
    let lanes = [Lane::Confirmation, Lane::Charge, Lane::Refund, Lane::LookUp, Lane::Webhook];
    let mut waits = Vec::new();
    for n in 0..200 {
        waits.push(turn(&pool, lanes[n % lanes.len()]).await);
    }
    // Each lane may be ahead by the turn that it has in hand.
    let within = |seconds: f64| waits.iter().filter(|wait| **wait <= seconds).count();
    for seconds in [10, 20, 40] {
        assert!(within(f64::from(seconds)) <= 8 + usize::try_from(seconds).unwrap(), "{seconds}: {waits:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn turns_taken_in_blocks_keep_the_rate(pool: PgPool) {
    let lanes = [Lane::Confirmation, Lane::Charge, Lane::Refund, Lane::LookUp, Lane::Webhook];
    let (every, block) = (Duration::from_millis(1), Duration::from_millis(100));
    let mut conn = pool.acquire().await.unwrap();
    let mut blocks = Vec::new();
    let begun = Instant::now();
    for n in 0..100 {
        let turns = gate::take_turns(&mut conn, lanes[n % lanes.len()], every, block).await.unwrap();
        blocks.push((begun.elapsed() + turns.wait, turns.count));
    }
    let most = blocks.iter().map(|(_, count)| *count).max().unwrap();
    assert_eq!(most, 30, "a charge's part of what fits 100 ms");
    for limit in [200_u32, 400, 800] {
        let until = Duration::from_millis(limit.into());
        let within: u32 = blocks.iter().filter(|(at, _)| *at <= until).map(|(_, count)| count).sum();
        assert!(within <= limit + 110, "{within} calls within {limit} ms: {blocks:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_together_keep_the_rate(pool: PgPool) {
    let workers = [Arc::new(RateLimiter::new(1_000)), Arc::new(RateLimiter::new(1_000))];
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for n in 0..600 {
        let (worker, pool) = (workers[n % 2].clone(), pool.clone());
        calls.spawn(async move { worker.acquire(&pool, Lane::Charge).await.unwrap() });
    }
    calls.join_all().await;
    // What fits 100 ms is ahead of the rate, in each worker a block of it.
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_pause_of_toss_is_not_spent_with_turns_of_buyers(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    gate::put_off_turns(&mut conn, Duration::from_mins(1)).await.unwrap();
    let over = "update gateway_pace set next_turn = clock_timestamp(), put_off_until = clock_timestamp()
                 where lane = 'confirmation'";
    sqlx::query(over).execute(&mut *conn).await.unwrap();
    assert!(turn(&pool, Lane::Charge).await > 50.0, "its own pause");
    assert!(turn(&pool, Lane::Confirmation).await < 1.0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_clock_that_jumps_back_delays_nobody_beyond_a_minute(pool: PgPool) {
    let ahead = "update gateway_pace set next_turn = clock_timestamp() + interval '2 hours'";
    sqlx::query(ahead).execute(&pool).await.unwrap();
    for lane in [Lane::Charge, Lane::Confirmation] {
        let wait = turn(&pool, lane).await;
        assert!(wait <= 60.5, "{lane}: {wait} s");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn while_toss_is_left_alone_the_daily_run_makes_no_charge_jobs(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    let open = "update gateway_breaker set failures = 10, open_until = $1 where gateway = 'billing'";
    sqlx::query(open).bind(world.now() + TimeDelta::hours(2)).execute(&world.pool).await.unwrap();
    world.settle().await;
    let waiting = "select count(*) from jobs where kind = 'charge-subscription'";
    assert_eq!(sqlx::query_scalar::<_, i64>(waiting).fetch_one(&world.pool).await.unwrap(), 0);
    world.live(1).await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_of_a_day_is_reviewed_though_its_job_is_parked(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = renewal_with(&mut world, Effect::ApproveThenCut).await;
    let park = "update jobs set state = 'parked' where kind = 'charge-subscription' and state = 'available'";
    assert_eq!(sqlx::query(park).execute(&world.pool).await.unwrap().rows_affected(), 1);
    world.advance(TimeDelta::hours(25));
    world.settle().await;
    assert!(world.history(id).await.payments[1].review_since.is_some());
    let mut conn = world.pool.acquire().await.unwrap();
    let job = "select id from jobs where state = 'parked'";
    let job: i64 = sqlx::query_scalar(job).fetch_one(&world.pool).await.unwrap();
    ops::jobs::retry(&mut conn, job, &reason("again now"), &world.acting("kim@example.com")).await.unwrap();
    world.settle().await;
    assert_eq!(world.net(id).await, 2 * 9_900);
}

async fn fail(conn: &mut sqlx::PgConnection, subject: Uuid, now: chrono::DateTime<chrono::Utc>) {
    let account = GatewayAccount::Billing;
    let failure = gate::Failure { account, subject, why: "connection reset", is_probe: false };
    gate::gateway_failed(conn, failure, now).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn one_subscription_that_fails_again_and_again_opens_no_breaker(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    for subject in [Uuid::from_u128(1), Uuid::from_u128(2)] {
        for _ in 0..30 {
            fail(&mut conn, subject, chrono::DateTime::UNIX_EPOCH).await;
        }
    }
    let status = gate::read(&mut conn).await.unwrap();
    assert_eq!((status.billing.failures, status.billing.open_until), (2, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_answer_from_the_bank_forgets_earlier_failures(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    for (outcome, date) in [("pays", "2026-12-23"), ("REJECT_CARD_PAYMENT", "2027-01-22")] {
        world.card_now(id, outcome).await;
        let failed = "update gateway_breaker set failures = 3 where gateway = 'billing'";
        sqlx::query(failed).execute(&world.pool).await.unwrap();
        world.live_until(date).await;
        let mut conn = world.pool.acquire().await.unwrap();
        assert_eq!(gate::read(&mut conn).await.unwrap().billing.failures, 0, "{outcome}");
    }
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn confirmations_that_fail_leave_charges_alone(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let healthy = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.sandbox.fault(Fault::next(Operation::Confirm, Effect::Status429).times(1_000_000)).unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    for n in 0..14 {
        world.order(&format!("NEW_{n:04}"), GOOD, "personal", Cycle::Monthly).await;
    }
    world.settle().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let status = gate::read(&mut conn).await.unwrap();
    assert!(status.widget.open_until.is_some() && status.billing.open_until.is_none());
    assert_eq!(world.net(healthy).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_probe_that_finds_nothing_to_ask_is_given_back(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    world.set_clock("2026-12-22T02:00:01+09:00");
    scheduler::catch_up(&world.env, &world.schedule).await.unwrap();
    jobs::run_one(&world.env, "the scan").await.unwrap();
    world.cancel(id).await;
    let half_open = "update gateway_breaker set failures = 10, open_until = $1 where gateway = 'billing'";
    sqlx::query(half_open).bind(world.now()).execute(&world.pool).await.unwrap();
    world.run_due_jobs().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let open_until = gate::read(&mut conn).await.unwrap().billing.open_until.unwrap();
    assert!(open_until <= world.now(), "another job may probe at once");
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn calls_that_fail_together_open_the_breaker_for_30_s(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let now = world.now();
    let mut conn = world.pool.acquire().await.unwrap();
    for _ in 0..16 {
        fail(&mut conn, common::id::new_key(), now).await;
    }
    let breaker = gate::read(&mut conn).await.unwrap().billing;
    assert_eq!(breaker.open_until, Some(now + TimeDelta::seconds(30)));
}

/// The buyer's authentication dies after ten minutes, so a confirmation does not wait for the breaker.
#[sqlx::test(migrations = "../migrations")]
async fn a_confirmation_goes_through_an_open_breaker(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let open = "update gateway_breaker set failures = 15, open_until = $1 where gateway = 'widget'";
    sqlx::query(open).bind(world.now() + TimeDelta::minutes(10)).execute(&world.pool).await.unwrap();
    world.subscriber(Cycle::Monthly).await;
    let mut conn = world.pool.acquire().await.unwrap();
    assert_eq!(gate::read(&mut conn).await.unwrap().widget.open_until, None, "its success closes it");
}

#[sqlx::test(migrations = "../migrations")]
async fn payment_keys_of_a_wrong_window_stop_nobody_else(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let healthy = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-21").await;
    let wrong = Effect::Error { code: "INVALID_API_KEY".to_owned(), status: None, message: None };
    world.sandbox.fault(Fault::next(Operation::Confirm, wrong).times(1_000_000)).unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    let mut refused = Vec::new();
    for n in 0..14 {
        refused.push(world.order(&format!("WRONG_{n:04}"), GOOD, "personal", Cycle::Monthly).await);
    }
    world.settle().await;
    assert_eq!(world.net(healthy).await, 2 * 9_900);
    for id in refused {
        assert_eq!(world.history(id).await.status(), SubscriptionStatus::Canceled);
    }
}
