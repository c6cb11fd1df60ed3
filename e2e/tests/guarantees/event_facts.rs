//! Which facts are told to the merchant's application, how often, and what the events say.

use common::commands::cancel::{CancelSubscription as Cancel, cancel_subscription};
use common::commands::end::{EndSubscription as End, end_subscription};
use common::commands::refund::{RefundRequest as RefundWish, request_refund};
use common::commands::resume::{ResumeSubscription, resume_subscription};
use common::domain::calendar::Cycle;
use common::domain::ending::RefundPolicy;
use common::domain::money::Won;
use common::id::subscription_ref;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::postman::refund_in_dashboard;
use crate::receiver::{Receiver, SECRET, listened_to};
use crate::world::World;

async fn refund(world: &World, id: Uuid, amount: i64) {
    let mut tx = world.pool.begin().await.unwrap();
    let wish = RefundWish {
        payment_id: world.history(id).await.payments[0].id,
        amount: Some(Won::new(amount).unwrap()),
        reason: "고객 요청",
        key: None,
        actor: "operator:kim",
    };
    request_refund(&mut tx, wish, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    world.run_due_jobs().await;
}

fn data_of(receiver: &Receiver, kind: &str) -> Vec<Value> {
    let arrived = receiver.arrived();
    arrived.iter().filter(|event| event.kind() == kind).map(|event| event.json()["data"].clone()).collect()
}

async fn count(world: &World, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_first_payment_is_told_in_order_with_nothing_personal(pool: PgPool) {
    let (world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Yearly).await;
    assert_eq!(receiver.kinds(), ["payment.succeeded", "subscription.activated"]);
    let history = world.history(id).await;
    let (subscription, payment) = (&history.subscription, &history.payments[0]);
    for event in receiver.arrived() {
        assert!(event.is_signed_with(SECRET) && event.id.starts_with("evt_"), "{event:?}");
        let card = subscription.card_number.as_deref().unwrap();
        for personal in ["user@example.com", "홍길동", card, "sealed"] {
            assert!(!event.body.contains(personal), "{personal}: {}", event.body);
        }
        // As it was committed, not as it was half way.
        assert_eq!(event.json()["data"]["subscription"]["status"], "active");
    }
    let told = receiver.arrived()[0].json();
    let told_payment = &told["data"]["payment"];
    assert_eq!(told_payment["id"], json!(payment.id));
    assert_eq!((&told_payment["amount"], &told_payment["status"]), (&json!(94_800), &json!("completed")));
    let expected = json!({
        "id": subscription_ref(id), "userId": subscription.user_id, "plan": "personal", "billingCycle": "yearly",
        "amount": 94_800, "status": "active", "currentPeriodStart": "2026-11-22", "currentPeriodEnd": "2027-11-22",
        "nextBillingDate": "2027-11-22", "accessUntil": null, "hasPaymentMethod": true,
    });
    assert_eq!(told["data"]["subscription"], expected);
    let at = chrono::DateTime::parse_from_rfc3339(told["timestamp"].as_str().unwrap()).unwrap();
    assert_eq!(Some(at.to_utc()), payment.settled_at);
    assert_eq!(world.net(id).await, 94_800);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewal_is_told_as_it_is_on_record(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    receiver.forget();
    world.live_until("2026-12-22").await;
    assert_eq!(receiver.kinds(), ["payment.succeeded"]);
    let told = &data_of(&receiver, "payment.succeeded")[0];
    let recorded = "select jsonb_build_object(
            'payment', jsonb_build_object('id', p.id, 'orderId', order_id, 'amount', p.amount, 'status', p.status,
                'periodNo', i.period_no, 'paymentMethod', payment_method, 'paidAt', p.paid_at, 'receiptUrl', receipt_url,
                'failure', null, 'createdAt', p.created_at),
            'periodEnd', s.current_period_end, 'status', s.status, 'audited', e.after->'nextBillingDate' = to_jsonb(s.next_billing_date))
        from payments p join invoices i on i.id = p.invoice_id join subscriptions s on s.id = p.subscription_id
        join subscription_events e on e.subscription_id = s.id and e.what = 'subscription.renewed'
        where p.kind = 'renewal'";
    let recorded: Value = sqlx::query_scalar(recorded).fetch_one(&world.pool).await.unwrap();
    let same_instants = |value: &Value| value.to_string().replace("+00:00", "Z");
    assert_eq!(same_instants(&told["payment"]), same_instants(&recorded["payment"]));
    assert_eq!(told["subscription"]["currentPeriodEnd"], recorded["periodEnd"]);
    assert_eq!((&recorded["status"], &recorded["audited"]), (&json!("active"), &json!(true)));
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn dunning_suspension_and_recovery_are_told_once_each(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    receiver.forget();
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-25").await;
    assert_eq!(receiver.kinds(), ["payment.failed", "subscription.past_due", "payment.failed"]);
    let failure = &data_of(&receiver, "payment.failed")[0];
    assert_eq!(failure["payment"]["failure"]["code"], "REJECT_CARD_PAYMENT");
    assert_eq!(failure["payment"]["failure"]["isFinalForCard"], false);
    assert_eq!(failure["subscription"]["nextBillingDate"], "2026-12-25");
    world.card_now(id, "pays").await;
    world.live_until("2026-12-28").await;
    assert_eq!(receiver.kinds()[3..], ["payment.succeeded", "subscription.resumed"]);
    assert_eq!(data_of(&receiver, "subscription.resumed")[0]["previousStatus"], "past_due");
    receiver.forget();

    world.card_now(id, "INVALID_STOPPED_CARD").await;
    world.live_until("2027-01-29").await;
    let expected = [
        "payment.failed",
        "payment_method.required",
        "subscription.past_due",
        "subscription.suspended",
        "payment_method.required",
    ];
    assert_eq!(receiver.kinds(), expected);
    let reasons: Vec<_> =
        data_of(&receiver, "payment_method.required").iter().map(|data| data["reason"].clone()).collect();
    assert_eq!(reasons, ["card_refused", "suspended"]);
    assert_eq!(world.net(id).await, 2 * 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn cancel_resume_and_refunds_are_told_whoever_made_them(pool: PgPool) {
    let (world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    receiver.forget();
    world.cancel(id).await;
    let mut tx = world.pool.begin().await.unwrap();
    let wish = ResumeSubscription { subscription_id: id, user_id: None, actor: "customer:test" };
    resume_subscription(&mut tx, wish, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let canceled = world.cancel(id).await;
    world.run_due_jobs().await;
    let (ended, resumed) = ("subscription.canceled", "subscription.resumed");
    assert_eq!(receiver.kinds(), [ended, resumed, ended]);
    let data = &data_of(&receiver, ended)[1];
    assert_eq!(data["subscription"]["accessUntil"], json!(canceled.access_until(world.now())));
    assert_eq!(
        (&data["previousStatus"], &data["subscription"]["nextBillingDate"]),
        (&json!("active"), &Value::Null)
    );
    receiver.forget();

    refund(&world, id, 4_000).await;
    refund_in_dashboard(&world, id, None).await;
    let webhook = world.sandbox.webhooks().pop().unwrap();
    crate::postman::deliver(&world, &webhook).await;
    crate::postman::deliver(&world, &webhook).await;
    assert_eq!(receiver.kinds(), ["payment.refunded", "payment.refunded"]);
    let told = data_of(&receiver, "payment.refunded");
    let amounts: Vec<_> =
        told.iter().map(|event| (&event["refund"]["amount"], &event["payment"]["status"])).collect();
    let (partly, wholly) = (json!("partially_refunded"), json!("refunded"));
    assert_eq!(amounts, [(&json!(4_000), &partly), (&json!(5_900), &wholly)]);
    assert_eq!(world.net(id).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_end_at_once_is_told_once_and_again_where_access_ends(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    let ids =
        [world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await];
    world.cancel(ids[1]).await;
    world.live(1).await;
    for id in ids {
        let policy = RefundPolicy::None;
        let wish =
            End { subscription_id: id, policy, reason: "고객 요청", key: None, actor: "operator:kim" };
        let mut tx = world.pool.begin().await.unwrap();
        end_subscription(&mut tx, &world.env.brand, wish, world.now()).await.unwrap();
        tx.commit().await.unwrap();
    }
    world.run_due_jobs().await;
    let until = |id: Uuid| -> Vec<Value> {
        let of = data_of(&receiver, "subscription.canceled");
        let of = of.iter().filter(|event| event["subscription"]["id"] == json!(subscription_ref(id)));
        of.map(|event| event["subscription"]["accessUntil"].clone()).collect()
    };
    assert_eq!(until(ids[0]), ["2026-11-23"]);
    assert_eq!(until(ids[1]), ["2026-12-22", "2026-11-23"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_without_a_card_is_named_at_begin_and_due_date(pool: PgPool) {
    let (mut world, receiver) = listened_to(pool, "2026-11-22").await;
    world.sandbox.set_switches(|switches| switches.confirm_billing_key = false);
    let id = world.subscriber(Cycle::Monthly).await;
    world.live_until("2026-12-22").await;
    let told: Vec<_> = data_of(&receiver, "payment_method.required")
        .iter()
        .map(|event| (event["reason"].clone(), event["subscription"]["status"].clone()))
        .collect();
    assert_eq!(told, [(json!("no_card"), json!("active")), (json!("no_card"), json!("past_due"))]);
    assert_eq!(world.net(id).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_an_endpoint_events_are_recorded_and_not_delivered(pool: PgPool) {
    let world = World::on(pool.clone(), "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    assert_eq!(count(&world, "select count(*) from webhook_events_out").await, 2);
    assert_eq!(count(&world, "select count(*) from webhook_deliveries").await, 0);
    assert_eq!(count(&world, "select count(*) from jobs where kind = 'deliver-event'").await, 0);

    // A new endpoint gets what happens from then on, no backlog.
    let receiver = Receiver::start().await;
    let world = World::telling(pool, "2026-11-22", Some(receiver.endpoint(SECRET))).await;
    world.settle().await;
    world.cancel(id).await;
    world.run_due_jobs().await;
    assert_eq!(receiver.kinds(), ["subscription.canceled"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_and_its_event_are_one_commit(pool: PgPool) {
    let (world, receiver) = listened_to(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    receiver.forget();
    let cancel =
        Cancel { subscription_id: id, user_id: None, actor: "customer:test", reason: "고객 요청" };
    let mut tx = world.pool.begin().await.unwrap();
    cancel_subscription(&mut tx, &world.env.brand, cancel, world.now()).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(count(&world, "select count(*) from webhook_events_out").await, 2);

    let mut tx = world.pool.begin().await.unwrap();
    cancel_subscription(&mut tx, &world.env.brand, cancel, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&world, "select count(*) from webhook_events_out").await, 3);
    world.run_due_jobs().await;
    assert_eq!(receiver.kinds(), ["subscription.canceled"]);

    let changed =
        sqlx::query("update webhook_events_out set body = '{}'").execute(&world.pool).await.unwrap_err();
    assert_eq!(changed.as_database_error().unwrap().constraint(), Some("webhook_events_out_append_only"));
}

/// Every change of a payment, a refund or a subscription's status on record, against the events that tell of it.
#[sqlx::test(migrations = "../migrations")]
async fn every_change_on_record_has_its_event_and_no_other(pool: PgPool) {
    let (mut world, _receiver) = listened_to(pool, "2026-11-22").await;
    let ids =
        [world.subscriber(Cycle::Monthly).await, world.subscriber_called("ORDER_2", Cycle::Monthly).await];
    world.card_now(ids[0], "INVALID_STOPPED_CARD").await;
    world.live_until("2026-12-29").await;
    refund(&world, ids[1], 4_000).await;
    world.cancel(ids[1]).await;
    world.cancel(ids[0]).await;
    let facts = "select count(*) from (
                     select 'payment.' || case status when 'failed' then 'failed' else 'succeeded' end || ':' || id as fact
                       from payments where settled_at is not null and (status <> 'failed' or decline_kind is not null)
                     union all select 'payment.refunded:' || id from refunds where status = 'completed'
                     union all select 'subscription.' || case when after->>'status' <> 'active' then after->>'status'
                                      when before->>'status' = 'incomplete' then 'activated' else 'resumed' end || ':' || id
                       from subscription_events where before->>'status' <> after->>'status') fact
                 full join (select unique_key from webhook_events_out where type <> 'payment_method.required') event
                        on event.unique_key = fact.fact
                where fact.fact is null or event.unique_key is null";
    assert_eq!(count(&world, facts).await, 0);
    assert!(count(&world, "select count(*) from webhook_events_out").await > 10);
}
