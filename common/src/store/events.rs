//! The subscription's diary: who did what, why, before and after. Append-only.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::subscription::Subscription;

/// One entry, without its before and after.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// `customer:<uuid>`, `operator:<e-mail>` or `worker`.
    pub actor: &'a str,
    /// E.g. `subscription.activated`.
    pub what: &'a str,
    pub why: &'a str,
}

/// Appends an entry: `before` is the subscription as it was read, the row as it is now becomes `after`.
pub async fn append(
    conn: &mut PgConnection,
    before: &Subscription,
    entry: Entry<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into subscription_events (subscription_id, at, actor, what, why, before, after)
        select id, $2, $3, $4, $5, $6,
               jsonb_build_object('status', status, 'periodNo', period_no, 'currentPeriodEnd', current_period_end,
                                  'nextBillingDate', next_billing_date, 'amount', amount)
          from subscriptions where id = $1
        "#,
        before.id,
        now,
        entry.actor,
        entry.what,
        entry.why,
        snapshot(before),
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn snapshot(subscription: &Subscription) -> Value {
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
