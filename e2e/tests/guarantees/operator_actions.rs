//! Operators' actions: each leaves one row of the audit log, a second submit is the same action, and nothing is done to
//! what has changed since it was shown.

use chrono::TimeDelta;
use common::commands::operate;
use common::commands::operate::{ActionError, ActionRequest, Performed};
use common::domain::action::{Action, Effect, Refusal};
use common::domain::calendar::Cycle;
use common::domain::ending::RefundPolicy;
use common::domain::money::Won;
use common::domain::subscription::SubscriptionStatus;
use common::store::operator_actions;
use common::store::operator_actions::{ActionFilter, ActionRow};
use sandbox::{Effect as Fault, Operation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{World, reason};

/// What an operator submits: the version that was shown, and the form's key.
async fn submit(
    world: &World,
    action: &Action,
    seen: Option<&str>,
    key: Option<&str>,
) -> Result<Performed, ActionError> {
    let (acting, reason) = (world.acting("kim@example.com"), reason("고객 요청"));
    let request = ActionRequest { action, actor: &acting.actor, reason: &reason, seen, key, bulk_id: None };
    let mut tx = world.pool.begin().await.unwrap();
    let performed = operate::perform(&mut tx, &acting.brand, &request, acting.now).await?;
    tx.commit().await.unwrap();
    Ok(performed)
}

async fn preview(world: &World, action: &Action) -> operate::Preview {
    let acting = world.acting("kim@example.com");
    let mut conn = world.pool.acquire().await.unwrap();
    operate::preview(&mut conn, &acting.brand, action, &acting.actor, acting.now).await.unwrap()
}

async fn audit_log(world: &World) -> Vec<ActionRow> {
    let mut conn = world.pool.acquire().await.unwrap();
    let mut rows = operator_actions::page(&mut conn, &ActionFilter::default(), 100).await.unwrap();
    rows.reverse();
    rows
}

async fn count(world: &World, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_preview_says_what_follows_and_writes_nothing(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let payment_id = world.history(id).await.payments[0].id;
    let tables =
        ["refunds", "jobs", "emails", "subscription_events", "operator_actions", "webhook_events_out"];
    let mut before = Vec::new();
    for table in tables {
        before.push(count(&world, table).await);
    }
    let action = Action::RefundPayment { payment_id, amount: Some(Won::new(4_000).unwrap()) };
    let shown = preview(&world, &action).await;
    assert!(matches!(shown.effects[..], [Effect::MoneyGoesBack { amount, .. }, Effect::CustomerIsMailed]
        if amount.get() == 4_000));
    let end = Action::EndSubscription { subscription_id: id, policy: RefundPolicy::ProRata };
    let shown_end = preview(&world, &end).await;
    assert_eq!(shown_end.effects.len(), 4, "{:?}", shown_end.effects);
    for (table, before) in tables.iter().zip(before) {
        assert_eq!(count(&world, table).await, before, "{table}");
    }
    let done = submit(&world, &action, Some(&shown.version), None).await.unwrap();
    assert_eq!((done.before, done.after), (shown.before, shown.after));
    world.run_due_jobs().await;
    assert_eq!(world.net(id).await, 5_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_submit_of_one_form_is_one_refund_and_one_audit_row(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let payment_id = world.history(id).await.payments[0].id;
    let action = Action::RefundPayment { payment_id, amount: Some(Won::new(4_000).unwrap()) };
    let version = preview(&world, &action).await.version;
    let (first, second) = tokio::join!(
        submit(&world, &action, Some(&version), Some("form-1")),
        submit(&world, &action, Some(&version), Some("form-1"))
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.repeated != second.repeated && first.audit_id == second.audit_id);
    world.run_due_jobs().await;
    assert_eq!((audit_log(&world).await.len(), world.net(id).await), (1, 5_900));

    let other = submit(&world, &Action::PauseCharging(id), None, Some("form-1")).await;
    assert!(matches!(other, Err(ActionError::KeyTaken)), "{other:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_done_to_what_has_changed_since_it_was_shown(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let payment_id = world.history(id).await.payments[0].id;
    let refund = Action::RefundPayment { payment_id, amount: None };
    let (version, pause) = (preview(&world, &refund).await.version, Action::PauseCharging(id));
    let shown_pause = preview(&world, &pause).await.version;
    world.cancel(id).await;
    for (action, version) in [(refund, version), (pause, shown_pause)] {
        let refused = submit(&world, &action, Some(&version), Some("form")).await;
        let Err(ActionError::Changed { now, .. }) = refused else { panic!("{refused:?}") };
        let status = now.get("subscriptionStatus").or(now.get("status")).unwrap();
        assert_eq!(status, "canceled");
    }
    world.run_due_jobs().await;
    assert_eq!((audit_log(&world).await.len(), world.net(id).await), (0, 9_900));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_action_says_who_what_and_why_before_and_after(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let end = Action::EndSubscription { subscription_id: id, policy: RefundPolicy::None };
    let actions = [
        (Action::PauseCharging(id), "chargingPausedAt"),
        (Action::ResumeCharging(id), "chargingPausedAt"),
        (Action::CancelSubscription(id), "status"),
        (end, "endedAt"),
        (Action::SwitchCharging { on: false }, "enabled"),
        (Action::SwitchCharging { on: true }, "enabled"),
    ];
    for (action, _) in &actions {
        assert!(submit(&world, action, None, None).await.unwrap().changed, "{action:?}");
    }
    let rows = audit_log(&world).await;
    assert_eq!(rows.len(), actions.len());
    for (row, (action, field)) in rows.iter().zip(&actions) {
        assert_eq!((row.action.as_str(), row.actor.as_str()), (action.name(), "operator:kim@example.com"));
        assert_eq!((row.channel.as_str(), row.os_user.as_deref()), ("command_line", Some("root")));
        assert_eq!((row.reason.as_str(), row.target_id.clone()), ("고객 요청", action.target().id()));
        assert_ne!(row.before.get(field), row.after.get(field), "{}", row.action);
    }
    let personal = serde_json::to_string(&rows).unwrap();
    assert!(!personal.contains("user@example.com") && !personal.contains("홍길동"), "{personal}");
    world.run_due_jobs().await;
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_action_that_changes_nothing_leaves_no_audit_row(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    assert!(submit(&world, &Action::PauseCharging(id), None, None).await.unwrap().changed);
    assert!(!submit(&world, &Action::PauseCharging(id), None, None).await.unwrap().changed);
    let paid = Action::ForgiveInvoice(world.history(id).await.payments[0].invoice_id);
    let over = submit(&world, &paid, None, None).await;
    assert!(matches!(over, Err(ActionError::Refused(Refusal::InvoiceNotOnHold(_)))));
    let missing = submit(&world, &Action::PauseCharging(Uuid::nil()), None, None).await;
    assert!(matches!(missing, Err(ActionError::NotFound(_))), "{missing:?}");
    assert_eq!(audit_log(&world).await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_audit_log_of_operators_cannot_be_rewritten(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    submit(&world, &Action::PauseCharging(id), None, None).await.unwrap();
    for statement in [
        "update operator_actions set reason = 'because'",
        "update operator_actions set actor = 'operator:lee'",
        "delete from operator_actions",
    ] {
        let refused = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        let constraint = refused.as_database_error().and_then(|error| error.constraint());
        assert_eq!(constraint, Some("operator_actions_append_only"), "{statement}");
    }
    for (column, value) in [("reason", "''"), ("reason", "' x '"), ("actor", "'kim'"), ("channel", "'mail'")]
    {
        let copy = format!(
            "insert into operator_actions (at, actor, channel, os_user, action, target_kind, target_id, reason, before, after)
             select at, {}, {}, os_user, action, target_kind, target_id, {}, before, after from operator_actions",
            if column == "actor" { value } else { "actor" },
            if column == "channel" { value } else { "channel" },
            if column == "reason" { value } else { "reason" },
        );
        let refused = sqlx::query(sqlx::AssertSqlSafe(copy)).execute(&world.pool).await;
        assert!(refused.is_err(), "{column} = {value}");
    }
}

/// The look-up itself is the worker's: the action only wakes its job.
#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_payment_is_looked_up_when_an_operator_asks(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    world.sandbox.fault(sandbox::Fault::next(Operation::Charge, Fault::ApproveThenCut)).unwrap();
    let down = sandbox::Fault::next(Operation::Lookup, Fault::Error500NotApproved).times(1_000);
    world.sandbox.fault(down).unwrap();
    world.set_clock("2026-12-22T02:00:01+09:00");
    world.settle().await;
    world.advance(TimeDelta::hours(5));
    world.run_due_jobs().await;
    let payment = world.history(id).await.payments[1].clone();
    assert_eq!(payment.status.to_string(), "unknown");

    world.sandbox.clear_faults();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.payments[1].status.to_string(), "unknown", "its job waits");
    let asked = submit(&world, &Action::LookUpPayment(payment.id), None, None).await.unwrap();
    assert!(matches!(&asked.effects[..], [Effect::GatewayIsAsked { job: Some(_), .. }]), "{asked:?}");
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.payments[1].status.to_string(), "completed");
    assert_eq!(world.charges_asked(id).await, 1);
    assert_eq!(world.net(id).await, 2 * 9_900);
    let again = submit(&world, &Action::LookUpPayment(payment.id), None, None).await;
    assert!(matches!(again, Err(ActionError::Refused(Refusal::PaymentSettled))), "{again:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_waiting_job_is_snoozed_run_now_and_discarded(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let id = world.order("ORDER_1", crate::world::GOOD, "personal", Cycle::Monthly).await;
    let job: i64 = sqlx::query_scalar("select id from jobs where kind = 'confirm-payment'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let until = world.now() + TimeDelta::minutes(5);
    submit(&world, &Action::SnoozeJob { job_id: job, until }, None, None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Incomplete);
    let past = Action::SnoozeJob { job_id: job, until: world.now() };
    assert!(matches!(
        submit(&world, &past, None, None).await,
        Err(ActionError::Refused(Refusal::SnoozeOutOfRange))
    ));
    submit(&world, &Action::RetryJob(job), None, None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.history(id).await.status(), SubscriptionStatus::Active);
    let over = submit(&world, &Action::DiscardJob(job), None, None).await;
    assert!(matches!(over, Err(ActionError::Refused(Refusal::JobState(_)))), "{over:?}");
    let rows = audit_log(&world).await;
    assert_eq!(rows.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(), ["job.snooze", "job.retry"]);
    assert_eq!(rows[0].subscription_id, Some(id));
    assert_eq!(world.net(id).await, 9_900);
}
