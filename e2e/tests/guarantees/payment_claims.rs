//! A payment that needs review is settled by what the gateway says, or given up when it cannot tell and two operators agree.

use chrono::TimeDelta;
use common::domain::action::{Action, Refusal};
use common::store::payment_claims;
use common::store::payment_claims::ClaimRow;
use ops::OpsError;
use sandbox::{Effect, Fault, LedgerQuery, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::lost_answers::renewal_with;
use crate::world::{World, reason};

/// A renewal that needs review because no look-up was answered. Answers the subscription and the payment.
async fn in_review(world: &mut World, charge: Effect) -> (Uuid, Uuid) {
    no_look_up_is_answered(world);
    let id = renewal_with(world, charge).await;
    world.live(2).await;
    let payment = world.history(id).await.payments[1].clone();
    assert!(payment.review_since.is_some(), "{payment:?}");
    (id, payment.id)
}

fn no_look_up_is_answered(world: &World) {
    let lost = Fault::next(Operation::Lookup, Effect::Error500NotApproved).times(1_000_000);
    world.sandbox.fault(lost).unwrap();
}

async fn act(world: &World, name: &str, action: Action) -> Result<(), OpsError> {
    let mut conn = world.pool.acquire().await.unwrap();
    world.acting(name).perform(&mut conn, &action, &reason("seen in the dashboard")).await.map(|_| ())
}

/// Long enough for a half-open breaker to let the question through, and too short for the payment's own daily look-up.
async fn run_claims(world: &mut World) {
    for _ in 0..30 {
        world.advance(TimeDelta::minutes(1));
        world.run_due_jobs().await;
    }
}

async fn claims(world: &World, payment_id: Uuid) -> Vec<ClaimRow> {
    let mut conn = world.pool.acquire().await.unwrap();
    payment_claims::of_payment(&mut conn, payment_id).await.unwrap()
}

fn captured_key(world: &World, order_id: &str) -> String {
    world.sandbox.ledger(&LedgerQuery::order(order_id)).entries[0].payment_key.clone()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_claimed_payment_key_counts_only_when_toss_confirms_it(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, payment_id) = in_review(&mut world, Effect::ApproveThenCut).await;
    world.sandbox.clear_faults();
    let history = world.history(id).await;
    let (first, order_id) =
        (history.payments[0].payment_key.clone().unwrap(), history.payments[1].order_id.clone());
    let wrong = [first, "tviva_nothing_like_it".to_owned()];
    for payment_key in wrong {
        act(&world, "kim", Action::ClaimPaid { payment_id, payment_key }).await.unwrap();
        let again = act(&world, "lee", Action::ClaimNotPaid(payment_id)).await.unwrap_err();
        assert_eq!(again.to_string(), Refusal::ClaimIsOpen.to_string());
        run_claims(&mut world).await;
        assert_eq!(claims(&world, payment_id).await.last().unwrap().state, "refused");
        assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    }
    let payment_key = captured_key(&world, &order_id);
    act(&world, "kim", Action::ClaimPaid { payment_id, payment_key }).await.unwrap();
    run_claims(&mut world).await;
    let claim = claims(&world, payment_id).await.pop().unwrap();
    assert_eq!((claim.state.as_str(), claim.gateway_answer.as_deref()), ("confirmed", Some("paid")));
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_not_paid_claim_is_confirmed_where_toss_knows_no_order(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, payment_id) = in_review(&mut world, Effect::Error500NotApproved).await;
    world.sandbox.clear_faults();
    act(&world, "kim", Action::ClaimNotPaid(payment_id)).await.unwrap();
    run_claims(&mut world).await;
    let claim = claims(&world, payment_id).await.pop().unwrap();
    assert_eq!((claim.state.as_str(), claim.gateway_answer.as_deref()), ("confirmed", Some("not_paid")));
    assert_eq!(world.history(id).await.statuses(), ["completed", "failed"]);
    let held = world.unsettled_invoices(id).await;
    assert!(held[0].held_since.is_some(), "an operator decides on the period");
    world.live(2).await;
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_not_paid_claim_is_refused_where_toss_has_the_money(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, payment_id) = in_review(&mut world, Effect::ApproveThenCut).await;
    world.sandbox.clear_faults();
    act(&world, "kim", Action::ClaimNotPaid(payment_id)).await.unwrap();
    run_claims(&mut world).await;
    assert_eq!(claims(&world, payment_id).await[0].state, "refused");
    assert_eq!(world.history(id).await.statuses(), ["completed", "completed"]);
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}

/// The money was captured all the same: the daily comparison shows it, and nothing is charged a second time.
#[sqlx::test(migrations = "../migrations")]
async fn where_the_gateway_cannot_tell_two_operators_have_to_agree(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, payment_id) = in_review(&mut world, Effect::ApproveThenCut).await;
    act(&world, "kim", Action::ClaimNotPaid(payment_id)).await.unwrap();
    let early = act(&world, "lee", Action::AgreeNotPaid(payment_id)).await.unwrap_err();
    assert_eq!(early.to_string(), Refusal::NothingToAgree.to_string(), "the gateway is asked first");
    run_claims(&mut world).await;
    assert_eq!(claims(&world, payment_id).await[0].state, "needs_agreement");
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);

    let same = act(&world, " KIM", Action::AgreeNotPaid(payment_id)).await.unwrap_err();
    assert_eq!(same.to_string(), Refusal::SameOperator.to_string());
    act(&world, "lee", Action::AgreeNotPaid(payment_id)).await.unwrap();
    run_claims(&mut world).await;
    let claim = claims(&world, payment_id).await.pop().unwrap();
    assert_eq!((claim.state.as_str(), claim.gateway_answer.as_deref()), ("confirmed", Some("cannot_tell")));
    assert_eq!(claim.agreed_by.as_deref(), Some("operator:lee"));
    assert_eq!(world.history(id).await.statuses(), ["completed", "failed"]);
    let held = world.unsettled_invoices(id).await;
    assert!(held[0].held_since.is_some());

    world.sandbox.clear_faults();
    let day = "2026-12-22".parse().unwrap();
    let mut conn = world.pool.acquire().await.unwrap();
    let job = common::jobs::ReconcilePayments { date: day, daily_run: None };
    common::jobs::enqueue(&mut conn, &job, world.now(), world.now()).await.unwrap();
    run_claims(&mut world).await;
    let kinds: Vec<String> = sqlx::query_scalar("select kind from discrepancies where resolved_at is null")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(kinds, ["capture_known_as_failed"]);
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn only_a_payment_in_review_can_be_claimed(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    no_look_up_is_answered(&world);
    let id = renewal_with(&mut world, Effect::ApproveThenCut).await;
    let history = world.history(id).await;
    let young = act(&world, "kim", Action::ClaimNotPaid(history.payments[1].id)).await.unwrap_err();
    assert_eq!(young.to_string(), Refusal::NotInReview.to_string());
    let settled = act(&world, "kim", Action::ClaimNotPaid(history.payments[0].id)).await.unwrap_err();
    assert_eq!(settled.to_string(), Refusal::PaymentSettled.to_string());
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_refuses_a_claim_that_proves_nothing(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, payment_id) = in_review(&mut world, Effect::ApproveThenCut).await;
    act(&world, "kim", Action::ClaimNotPaid(payment_id)).await.unwrap();
    let forbidden = [
        (
            "update payments set status = 'failed', settled_at = now() where status = 'unknown'",
            "payments_failure_proven",
        ),
        (
            "update payment_claims set agreed_by = proposed_by, agreed_at = now()",
            "payment_claims_agreed_by_another",
        ),
        (
            "update payment_claims set state = 'confirmed', settled_at = now(), finding = 'trust me'",
            "payment_claims_confirmed_is_proven",
        ),
        (
            "update payment_claims set state = 'confirmed', settled_at = now(), finding = 'x', gateway_answer = 'cannot_tell'",
            "payment_claims_confirmed_is_proven",
        ),
        ("update payment_claims set proposed_by = 'operator:lee'", "payment_claims_append_only"),
        ("delete from payment_claims", "payment_claims_append_only"),
    ];
    for (statement, constraint) in forbidden {
        let refused = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        let named = refused.as_database_error().and_then(|error| error.constraint());
        assert_eq!(named, Some(constraint), "{statement}");
    }
    assert_eq!(world.history(id).await.statuses(), ["completed", "unknown"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

/// The job of a claim is lost, and the sweep makes another.
#[sqlx::test(migrations = "../migrations")]
async fn a_claim_whose_job_is_lost_is_checked_all_the_same(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let (id, payment_id) = in_review(&mut world, Effect::ApproveThenCut).await;
    world.sandbox.clear_faults();
    act(&world, "kim", Action::ClaimNotPaid(payment_id)).await.unwrap();
    sqlx::query("delete from jobs where kind in ('check-payment-claim', 'charge-subscription')")
        .execute(&world.pool)
        .await
        .unwrap();
    world.advance(TimeDelta::minutes(3));
    world.settle().await;
    assert_eq!(claims(&world, payment_id).await[0].state, "refused");
    assert_eq!((world.charges_asked(id).await, world.net(id).await), (1, 2 * 9_900));
}
