//! Table `subscription_events`: the audit log. Each change of a subscription writes its entry here last, and with it the
//! outgoing events that follow from the change.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, webhook_deliveries};
use crate::domain::calendar::Cycle;
use crate::domain::money::Won;
use crate::domain::outgoing_event::{Change, FailureData, MoneyFact, PaymentData, RefundData, events_of};
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::jobs;
use crate::jobs::DeliverEvent;

/// One entry, without its before and after.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// `customer:<uuid>`, `operator:<e-mail>` or `worker`.
    pub actor: &'a str,
    /// E.g. `subscription.activated`.
    pub what: &'a str,
    pub why: &'a str,
}

/// What a change did to money, for the outgoing events.
#[derive(Debug, Clone, Copy)]
pub enum Settled {
    /// This payment was captured or declined.
    Payment(Uuid),
    Refund {
        payment_id: Uuid,
        refund_id: Uuid,
        amount: i32,
        refunded_at: DateTime<Utc>,
    },
}

/// Appends an entry: `before` is the subscription as it was read, the row as it is now becomes `after`. A change of its
/// status writes an outgoing event, so this is the last step of a change.
pub async fn append(
    conn: &mut PgConnection,
    before: &Subscription,
    entry: Entry<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    append_with(conn, before, entry, None, now).await
}

/// As [`append`], for a change that has moved money or failed to.
pub async fn append_with(
    conn: &mut PgConnection,
    before: &Subscription,
    entry: Entry<'_>,
    settled: Option<Settled>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (entry_id, after) = insert(conn, before, entry, now).await?;
    announce(conn, before, &after, Some(entry_id), settled, now).await
}

/// Writes the outgoing events of money that changed nothing about its subscription, and so has no entry of its own.
pub async fn announce_settled(
    conn: &mut PgConnection,
    subscription: &Subscription,
    settled: Settled,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    announce(conn, subscription, subscription, None, Some(settled), now).await
}

async fn announce(
    conn: &mut PgConnection,
    before: &Subscription,
    after: &Subscription,
    entry_id: Option<i64>,
    settled: Option<Settled>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let money = match settled {
        Some(settled) => Some(money_fact(conn, settled).await?),
        None => None,
    };
    let events = events_of(Change { before, after, entry_id, money: money.as_ref() }, now);
    if events.is_empty() {
        return Ok(());
    }
    let subscription_id = after.id;
    if let Some(event_id) = webhook_deliveries::insert(conn, subscription_id, &events, now).await? {
        jobs::enqueue(conn, &DeliverEvent { event_id, subscription_id }, now, now).await?;
    }
    Ok(())
}

/// Writes the entry, and returns its id with the subscription as it is now.
async fn insert(
    conn: &mut PgConnection,
    before: &Subscription,
    entry: Entry<'_>,
    now: DateTime<Utc>,
) -> Result<(i64, Subscription), StoreError> {
    let Entry { actor, what, why } = entry;
    let row = sqlx::query!(
        r#"
        with entry as (
            insert into subscription_events (subscription_id, at, actor, what, why, before, after)
            select id, $2, $3, $4, $5, $6,
                   jsonb_build_object('status', status, 'periodNo', period_no, 'currentPeriodEnd', current_period_end,
                                      'nextBillingDate', next_billing_date, 'amount', amount)
              from subscriptions where id = $1
            returning id
        )
        select entry.id as entry_id, plan, billing_cycle as "cycle: Cycle", amount as "amount: Won",
               status as "status: SubscriptionStatus", current_period_start, current_period_end, next_billing_date,
               activated_at, suspended_at, canceled_at, ended_at, billing_key
          from subscriptions, entry where subscriptions.id = $1
        "#,
        before.id, now, actor, what, why, snapshot(before),
    )
    .fetch_one(conn)
    .await?;
    let after = Subscription {
        plan: row.plan,
        cycle: row.cycle,
        amount: row.amount,
        status: row.status,
        current_period_start: row.current_period_start,
        current_period_end: row.current_period_end,
        next_billing_date: row.next_billing_date,
        activated_at: row.activated_at,
        suspended_at: row.suspended_at,
        canceled_at: row.canceled_at,
        ended_at: row.ended_at,
        sealed_billing_key: row.billing_key,
        ..before.clone()
    };
    Ok((row.entry_id, after))
}

async fn money_fact(conn: &mut PgConnection, settled: Settled) -> Result<MoneyFact, StoreError> {
    match settled {
        Settled::Payment(id) => Ok(MoneyFact::Payment(payment_data(conn, id).await?)),
        Settled::Refund { payment_id, refund_id, amount, refunded_at } => {
            let refund = RefundData { id: refund_id, amount, status: "completed", refunded_at };
            Ok(MoneyFact::Refund(payment_data(conn, payment_id).await?, refund))
        }
    }
}

async fn payment_data(conn: &mut PgConnection, id: Uuid) -> Result<PaymentData, StoreError> {
    let row = sqlx::query!(
        r#"
        select payment.id, payment.order_id, payment.amount, payment.status, invoice.period_no, payment.payment_method,
               payment.paid_at, payment.receipt_url, payment.toss_code, payment.toss_message,
               coalesce(payment.decline_kind = 'hard', false) as "is_final!", payment.created_at
          from payments payment join invoices invoice on invoice.id = payment.invoice_id
         where payment.id = $1
        "#,
        id
    )
    .fetch_one(conn)
    .await?;
    let failure = (row.status == "failed").then_some(FailureData {
        code: row.toss_code,
        message: row.toss_message,
        is_final_for_card: row.is_final,
    });
    Ok(PaymentData {
        id: row.id,
        order_id: row.order_id,
        amount: row.amount,
        status: row.status,
        period_no: row.period_no,
        payment_method: row.payment_method,
        paid_at: row.paid_at,
        receipt_url: row.receipt_url,
        failure,
        created_at: row.created_at,
    })
}

pub(super) fn snapshot(subscription: &Subscription) -> Value {
    json!({
        "status": subscription.status.to_string(),
        "periodNo": subscription.period_no,
        "currentPeriodEnd": subscription.current_period_end,
        "nextBillingDate": subscription.next_billing_date,
        "amount": subscription.amount,
    })
}

/// An entry as it is read back.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub what: String,
    pub why: String,
    pub before: Value,
    pub after: Value,
}

pub async fn of_subscription(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Vec<Event>, StoreError> {
    let events = sqlx::query_as!(
        Event,
        r#"
        select id, at, actor, what, why, before, after
          from subscription_events where subscription_id = $1 order by id
        "#,
        subscription_id
    )
    .fetch_all(conn)
    .await?;
    Ok(events)
}
