//! The one search field: whatever an operator pastes into it. Each statement reads one index and a bounded number of rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::StoreError;

/// More than anybody reads.
const MAX_HITS: i64 = 20;

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// `subscription`, `payment`, `refund`, `invoice`, `email`, `webhook`, `event` or `job`.
    pub what: String,
    pub id: String,
    pub subscription_id: Option<Uuid>,
    /// What a person recognises it by.
    pub title: String,
    pub state: String,
    pub at: DateTime<Utc>,
}

/// By an id of ours: a subscription's, a user's, or that of anything else.
pub async fn by_id(conn: &mut PgConnection, id: Uuid) -> Result<Vec<Hit>, StoreError> {
    let hits = sqlx::query_as!(
        Hit,
        r#"
        (select 'subscription' as "what!", id::text as "id!", id as subscription_id, customer_name as "title!",
                status as "state!", created_at as "at!"
           from subscriptions where id = $1 or user_id = $1 order by created_at desc limit $2)
        union all
        select 'payment', id::text, subscription_id, order_id, status, created_at from payments where id = $1
        union all
        select 'invoice', id::text, subscription_id, period_start::text, status, created_at from invoices where id = $1
        union all
        select 'refund', refund.id::text, payment.subscription_id, payment.order_id, refund.status, refund.created_at
          from refunds refund join payments payment on payment.id = refund.payment_id where refund.id = $1
        union all
        select 'email', id::text, subscription_id, subject, status, created_at from emails where id = $1
        union all
        select 'webhook', id::text, null, coalesce(event_type, ''), state, received_at from webhook_events_in where id = $1
        union all
        select 'event', id::text, subscription_id, type, '', created_at from webhook_events_out where id = $1
        "#,
        id,
        MAX_HITS,
    )
    .fetch_all(conn)
    .await?;
    Ok(hits)
}

/// By a job's number.
pub async fn by_number(conn: &mut PgConnection, number: i64) -> Result<Vec<Hit>, StoreError> {
    let hits = sqlx::query_as!(
        Hit,
        r#"
        select 'job' as "what!", id::text as "id!", null::uuid as subscription_id, kind as "title!", state as "state!",
               created_at as "at!"
          from jobs where id = $1
        "#,
        number,
    )
    .fetch_all(conn)
    .await?;
    Ok(hits)
}

/// By what the gateway or the customer's browser calls it: order id, payment key, transaction key, trace id, transmission.
pub async fn by_key(conn: &mut PgConnection, key: &str) -> Result<Vec<Hit>, StoreError> {
    let hits = sqlx::query_as!(
        Hit,
        r#"
        (select 'payment' as "what!", id::text as "id!", subscription_id, order_id as "title!", status as "state!",
                created_at as "at!"
           from payments
          where order_id = $1 or toss_trace_id = $1
             or (payment_key = $1 and status in ('completed', 'refunded', 'partially_refunded'))
             or (payment_key = $1 and status in ('pending', 'unknown', 'failed')) limit $2)
        union all
        (select 'refund', refund.id::text, payment.subscription_id, payment.order_id, refund.status, refund.created_at
           from refunds refund join payments payment on payment.id = refund.payment_id
          where refund.transaction_key = $1 or refund.toss_trace_id = $1 limit $2)
        union all
        (select 'webhook', id::text, null, coalesce(event_type, ''), state, received_at
           from webhook_events_in where transmission_id = $1)
        "#,
        key,
        MAX_HITS,
    )
    .fetch_all(conn)
    .await?;
    Ok(hits)
}

/// Subscriptions whose customer's address or name begins like this, newest first.
pub async fn by_customer(conn: &mut PgConnection, text: &str) -> Result<Vec<Hit>, StoreError> {
    let pattern = format!("{}%", escaped(&text.to_lowercase()));
    let hits = sqlx::query_as!(
        Hit,
        r#"
        select 'subscription' as "what!", subscription.id::text as "id!", subscription.id as "subscription_id?",
               coalesce(users.name, customer_name) || ' · ' || coalesce(users.email, customer_email) as "title!",
               status as "state!", subscription.created_at as "at!"
          from (select id from (select id from subscriptions where lower(customer_email) like $1 limit $2) by_email
                union select id from (select id from subscriptions where lower(customer_name) like $1 limit $2) by_name
                union select id from (
                    select subscriptions.id from users join subscriptions on subscriptions.user_id = users.id
                     where lower(users.email) like $1 limit $2) by_newest_email
                union select id from (
                    select subscriptions.id from users join subscriptions on subscriptions.user_id = users.id
                     where lower(users.name) like $1 limit $2) by_newest_name) found
          join subscriptions subscription on subscription.id = found.id
          join users on users.id = subscription.user_id
         order by subscription.created_at desc, subscription.id desc limit $2
        "#,
        pattern,
        MAX_HITS,
    )
    .fetch_all(conn)
    .await?;
    Ok(hits)
}

/// With the signs that mean something in a pattern meaning themselves.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_a_pattern_are_searched_as_they_are() {
        assert_eq!(escaped(r"50%_a\b"), r"50\%\_a\\b");
    }
}
