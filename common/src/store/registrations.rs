//! Card registrations: recorded before the call, the key sealed after it, wiped when it is used or given up.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, one_row};
use crate::domain::registration::Registration;

/// Records a registration. The schema refuses a second unfinished one of the same subscription.
pub async fn insert(
    conn: &mut PgConnection,
    new: &Registration,
    user_id: Uuid,
    auth_key_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into card_registrations
            (id, subscription_id, user_id, auth_key, auth_key_hash, customer_key, idempotency_key, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        "#,
        new.id,
        new.subscription_id,
        user_id,
        new.auth_key,
        auth_key_hash,
        new.customer_key,
        new.idempotency_key,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads a registration and locks its row. Callers lock the subscription's row before it.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Registration>, StoreError> {
    let found = sqlx::query_as!(
        Registration,
        r#"
        select id, subscription_id, auth_key, customer_key, idempotency_key, status as "status: _", sealed_billing_key,
               card_number, payment_id, sent_at, first_sent_at, toss_code, toss_message, server_errors
          from card_registrations where id = $1 for update
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Registration>, StoreError> {
    let found = sqlx::query_as!(
        Registration,
        r#"
        select id, subscription_id, auth_key, customer_key, idempotency_key, status as "status: _", sealed_billing_key,
               card_number, payment_id, sent_at, first_sent_at, toss_code, toss_message, server_errors
          from card_registrations where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// The registration that an earlier request with this one-time key made.
pub async fn of_auth_key(conn: &mut PgConnection, hash: &[u8]) -> Result<Option<Registration>, StoreError> {
    let row = sqlx::query!("select id from card_registrations where auth_key_hash = $1", hash)
        .fetch_optional(&mut *conn)
        .await?;
    match row {
        Some(row) => find(conn, row.id).await,
        None => Ok(None),
    }
}

/// The newest registration of a subscription.
pub async fn latest_of(
    conn: &mut PgConnection,
    subscription_id: Uuid,
) -> Result<Option<Registration>, StoreError> {
    let row = sqlx::query!(
        r#"
        select id from card_registrations where subscription_id = $1 order by created_at desc, id desc limit 1
        "#,
        subscription_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    match row {
        Some(row) => find(conn, row.id).await,
        None => Ok(None),
    }
}

/// The registration whose billing key this payment charges.
pub async fn of_payment(
    conn: &mut PgConnection,
    payment_id: Uuid,
) -> Result<Option<Registration>, StoreError> {
    let row = sqlx::query!("select id from card_registrations where payment_id = $1", payment_id)
        .fetch_optional(&mut *conn)
        .await?;
    match row {
        Some(row) => lock(conn, row.id).await,
        None => Ok(None),
    }
}

/// Marks the request as sent under this key. From this commit on it may have reached the gateway.
pub async fn mark_sent(
    conn: &mut PgConnection,
    id: Uuid,
    idempotency_key: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update card_registrations
           set sent_at = $2, first_sent_at = coalesce(first_sent_at, $2), idempotency_key = $3
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
        idempotency_key,
    )
    .execute(conn)
    .await?;
    one_row("mark a registration sent", &done)
}

/// Stores the issued billing key, sealed, and wipes the one-time key, which is used up.
pub async fn issued(
    conn: &mut PgConnection,
    id: Uuid,
    sealed_billing_key: &str,
    card_number: Option<&str>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update card_registrations
           set status = 'issued', sealed_billing_key = $2, card_number = $3, auth_key = null
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        sealed_billing_key,
        card_number,
    )
    .execute(conn)
    .await?;
    one_row("keep an issued key", &done)
}

/// Marks a registration without a known outcome. The same request is sent again under the same key.
pub async fn unknown(
    conn: &mut PgConnection,
    id: Uuid,
    message: &str,
    is_server_error: bool,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update card_registrations
           set status = 'unknown', toss_message = $2, server_errors = server_errors + $3::int
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        message,
        i32::from(is_server_error),
    )
    .execute(conn)
    .await?;
    one_row("keep an unknown registration", &done)
}

/// Resets a registration whose request certainly did not count. `fresh_key` replaces a key that the gateway has used up.
pub async fn not_sent(
    conn: &mut PgConnection,
    id: Uuid,
    message: &str,
    fresh_key: Option<Uuid>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update card_registrations
           set sent_at = null, idempotency_key = coalesce($2, idempotency_key), toss_message = $3
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        fresh_key,
        message,
    )
    .execute(conn)
    .await?;
    one_row("take back a registration that was not made", &done)
}

/// Records the payment that charges an open invoice with the new card.
pub async fn verify(conn: &mut PgConnection, id: Uuid, payment_id: Uuid) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update card_registrations set status = 'proving', payment_id = $2 where id = $1 and status = 'issued'",
        id,
        payment_id,
    )
    .execute(conn)
    .await?;
    one_row("prove a new card", &done)
}

/// Ends a registration and wipes its keys: by now they are the subscription's own, to be deleted, or useless.
pub async fn settle(
    conn: &mut PgConnection,
    id: Uuid,
    status: crate::domain::registration::RegistrationStatus,
    refusal: Option<(&str, &str)>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (code, message) = refusal.unzip();
    let done = sqlx::query!(
        r#"
        update card_registrations
           set status = $2, auth_key = null, sealed_billing_key = null, settled_at = $5,
               toss_code = coalesce($3, toss_code), toss_message = coalesce($4, toss_message)
         where id = $1 and settled_at is null
        "#,
        id,
        <&str>::from(status),
        code,
        message,
        now,
    )
    .execute(conn)
    .await?;
    one_row("settle a registration", &done)
}
