//! Erasing a customer, table by table. The caller holds the rows of the user and of all subscriptions.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, virtual_accounts};
use crate::domain::erasure::{ERASED_ADDRESS, ERASED_NAME, ERASED_WORDS, Unfinished};

/// The users of this id, or who have or had this address.
pub async fn users_called(
    conn: &mut PgConnection,
    id: Option<Uuid>,
    email: Option<&str>,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        select id as "id!" from users where id = $1 or lower(email) = lower($2)
        union select user_id from subscriptions where lower(customer_email) = lower($2)
        "#,
        id,
        email
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Locks the user, so that no order of theirs comes in between, then their subscriptions. Answers those.
///
/// Not for update: whoever holds a subscription and writes a row that names the user would wait for us, and we for them.
pub async fn lock(conn: &mut PgConnection, user_id: Uuid) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query!("select id from users where id = $1 for no key update", user_id)
        .fetch_all(&mut *conn)
        .await?;
    let ids = sqlx::query_scalar!(
        "select id from subscriptions where user_id = $1 order by id for update",
        user_id
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// What is unfinished, but for the subscriptions themselves.
pub async fn unfinished(conn: &mut PgConnection, user_id: Uuid) -> Result<Unfinished, StoreError> {
    let row = sqlx::query!(
        r#"
        with own as (
            select payments.id, payments.status, payments.order_id
              from payments join subscriptions on subscriptions.id = payments.subscription_id
             where subscriptions.user_id = $1
        )
        select (select count(*) from own where status in ('pending', 'unknown')) as "payments!",
               (select count(*) from refunds join own on own.id = refunds.payment_id
                 where refunds.status in ('pending', 'unknown')) as "refunds!",
               (select count(*) from card_registrations
                 where user_id = $1 and status in ('pending', 'unknown', 'issued', 'proving')) as "registrations!",
               (select count(*) from webhook_events_in webhook
                 where webhook.state = 'received' and exists (
                     select from own where position(convert_to(own.order_id, 'UTF8') in webhook.body) > 0)) as "webhooks!"
        "#,
        user_id
    )
    .fetch_one(conn)
    .await?;
    Ok(Unfinished {
        running: 0,
        payments: row.payments,
        refunds: row.refunds,
        registrations: row.registrations,
        webhooks: row.webhooks,
    })
}

/// Name, address and card go from the user, the subscriptions and the registrations. Answers whether there was anything.
pub async fn person(conn: &mut PgConnection, user_id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
    sqlx::query!("update card_registrations set card_number = null where user_id = $1", user_id)
        .execute(&mut *conn)
        .await?;
    virtual_accounts::erase_holder(conn, user_id).await?;
    let subscriptions = sqlx::query!(
        r#"
        update subscriptions
           set customer_email = $2, customer_name = $3, card_number = null, billing_key = null, updated_at = $4,
               cancel_reason = case when cancel_reason is not null then $5 end
         where user_id = $1 and (customer_email <> $2 or customer_name <> $3 or billing_key is not null)
        "#,
        user_id,
        ERASED_ADDRESS,
        ERASED_NAME,
        now,
        ERASED_WORDS,
    )
    .execute(&mut *conn)
    .await?;
    let users = sqlx::query!(
        r#"
        update users set email = null, name = null, erased_at = $2, updated_at = $2
         where id = $1 and (email is not null or name is not null or erased_at is null or $3)
        "#,
        user_id,
        now,
        subscriptions.rows_affected() > 0,
    )
    .execute(conn)
    .await?;
    Ok(users.rows_affected() > 0)
}

/// The customer's own words in the diaries; nothing else may change there.
pub async fn diaries(conn: &mut PgConnection, user_id: Uuid) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        update subscription_events event set why = $2
          from subscriptions where subscriptions.id = event.subscription_id and subscriptions.user_id = $1
           and event.actor like 'customer:%' and event.why <> $2
        "#,
        user_id,
        ERASED_WORDS,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// What was written to the customer, and what mail servers said of the address. What waits is not sent.
pub async fn emails(conn: &mut PgConnection, user_id: Uuid, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        update emails
           set to_address = $2, subject = $3, body_html = '', body_text = '', last_error = null,
               status = case status when 'queued' then 'dropped' else status end, settled_at = coalesce(settled_at, $4)
         where user_id = $1 and to_address <> $2
        "#,
        user_id,
        ERASED_ADDRESS,
        ERASED_WORDS,
        now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        update jobs set note = null, last_error = case when jobs.last_error is not null then $2 end
          from emails
         where jobs.kind = 'send-email' and jobs.state <> 'running' and jobs.about = emails.id
           -- The same once more, for the index on the subscription of a job.
           and jobs.subject ? 'subscription'
           and jobs.subject->>'subscription' = subscription_ref(emails.subscription_id)
           and emails.user_id = $1 and (jobs.note is not null or jobs.last_error <> $2)
        "#,
        user_id,
        ERASED_WORDS,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Bodies and headers of webhooks about the customer's payments.
pub async fn webhooks(conn: &mut PgConnection, user_id: Uuid) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        with own as materialized (
            select convert_to(payments.order_id, 'UTF8') as order_id, convert_to(payments.payment_key, 'UTF8') as payment_key
              from payments join subscriptions on subscriptions.id = payments.subscription_id
             where subscriptions.user_id = $1
        )
        update webhook_events_in webhook set body = convert_to('{}', 'UTF8'), headers = '{}'
         where webhook.state <> 'received' and exists (
             select from own
              where position(own.order_id in webhook.body) > 0 or position(own.payment_key in webhook.body) > 0)
        "#,
        user_id
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
