//! Table `payments`: one row per attempt, recorded before the call and settled after it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, number, one_row, virtual_accounts};
use crate::domain::outcome::{Decline, NotSent, Receipt, UnknownOutcome, WaitingPayment};
use crate::domain::payment::Payment;

/// Records an intent: the attempt as it is given. The schema refuses a second unfinished one for its invoice.
pub async fn insert(conn: &mut PgConnection, new: &Payment) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key,
                              idempotency_key, amount, sent_at, first_sent_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)
        "#,
        new.id,
        new.user_id,
        new.subscription_id,
        new.invoice_id,
        <&str>::from(new.kind),
        new.attempt_no,
        new.order_id,
        new.payment_key,
        new.idempotency_key,
        new.amount.get(),
        new.sent_at,
        new.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The attempts of an invoice, in order.
pub async fn of_invoice(conn: &mut PgConnection, invoice_id: Uuid) -> Result<Vec<Payment>, StoreError> {
    let payments = sqlx::query_file_as!(Payment, "src/store/sql/payments_of_invoice.sql", invoice_id)
        .fetch_all(conn)
        .await?;
    Ok(payments)
}

/// The attempts of several invoices, those of each in order.
pub async fn of_invoices(conn: &mut PgConnection, invoices: &[Uuid]) -> Result<Vec<Payment>, StoreError> {
    let payments = sqlx::query_file_as!(Payment, "src/store/sql/payments_of_invoices.sql", invoices)
        .fetch_all(conn)
        .await?;
    Ok(payments)
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Payment>, StoreError> {
    let found =
        sqlx::query_file_as!(Payment, "src/store/sql/payment_find.sql", id).fetch_optional(conn).await?;
    Ok(found)
}

pub async fn find_by_order(conn: &mut PgConnection, order_id: &str) -> Result<Option<Payment>, StoreError> {
    let found = sqlx::query_file_as!(Payment, "src/store/sql/payment_find_by_order.sql", order_id)
        .fetch_optional(conn)
        .await?;
    Ok(found)
}

/// A subscription's payments, newest first, attempts in flight included. `before` is the last one seen.
pub async fn page_of_subscription(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Payment>, StoreError> {
    let (at, id) = before.unzip();
    let page =
        sqlx::query_file_as!(Payment, "src/store/sql/payments_page.sql", subscription_id, at, id, limit)
            .fetch_all(conn)
            .await?;
    Ok(page)
}

/// The request is about to leave: from this commit on it may have arrived.
pub async fn mark_sent(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments set sent_at = $2, first_sent_at = coalesce(first_sent_at, $2), not_found_count = 0
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("mark an attempt sent", &done)
}

/// The money is captured.
pub async fn complete(
    conn: &mut PgConnection,
    id: Uuid,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments
           set status = 'completed', payment_key = $2, paid_at = $3, payment_method = $4, receipt_url = $5,
               toss_secret = $6, toss_trace_id = coalesce($7, toss_trace_id), toss_code = null, toss_message = null,
               settled_at = $8
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        receipt.payment_key,
        receipt.paid_at,
        receipt.method,
        receipt.receipt_url,
        receipt.secret,
        receipt.trace_id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("complete a payment", &done)
}

/// The bank said no.
pub async fn decline(
    conn: &mut PgConnection,
    id: Uuid,
    refusal: &Decline,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments
           set status = 'failed', decline_kind = $2, toss_code = $3, toss_message = $4,
               toss_trace_id = coalesce($5, toss_trace_id), settled_at = $6
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        <&str>::from(refusal.kind),
        refusal.code,
        refusal.message,
        refusal.trace_id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("decline a payment", &done)
}

/// It certainly did not reach the bank: the attempt is as good as new, under `fresh_key` if the old one is burnt.
pub async fn not_sent(
    conn: &mut PgConnection,
    id: Uuid,
    why: &NotSent,
    fresh_key: Option<Uuid>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments
           set status = 'pending', sent_at = null, unknown_since = null, not_found_count = 0,
               review_since = null, idempotency_key = coalesce($2, idempotency_key), toss_code = $3, toss_message = $4,
               toss_trace_id = coalesce($5, toss_trace_id)
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        fresh_key,
        why.code,
        why.message,
        why.trace_id,
    )
    .execute(conn)
    .await?;
    one_row("take back an attempt that was not made", &done)
}

/// Nobody knows what became of it. `missed`: the gateway was asked and knows no such order (yet).
pub async fn unknown(
    conn: &mut PgConnection,
    id: Uuid,
    doubt: &UnknownOutcome,
    missed: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments
           set status = 'unknown', unknown_since = coalesce(unknown_since, $2),
               not_found_count = not_found_count + $3::int, toss_code = coalesce($4, toss_code), toss_message = $5,
               toss_trace_id = coalesce($6, toss_trace_id), server_errors = server_errors + $7::int
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
        i32::from(missed),
        doubt.code,
        doubt.message,
        doubt.trace_id,
        i32::from(doubt.is_server_error),
    )
    .execute(conn)
    .await?;
    one_row("keep an unknown outcome", &done)
}

/// The gateway has it, and it has not ended: waited for as an unknown outcome is, with what the gateway says of it.
pub async fn wait_for(
    conn: &mut PgConnection,
    id: Uuid,
    waiting: &WaitingPayment,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments
           set status = 'unknown', unknown_since = coalesce(unknown_since, $2), not_found_count = 0, gateway_status = $3,
               deposit_due_at = coalesce($4, deposit_due_at), toss_secret = coalesce($5, toss_secret), toss_code = null,
               toss_message = null, toss_trace_id = coalesce($6, toss_trace_id)
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        now,
        waiting.status,
        waiting.account.as_ref().map(|account| account.due_at),
        waiting.secret,
        waiting.trace_id,
    )
    .execute(&mut *conn)
    .await?;
    one_row("wait for a payment", &done)?;
    match &waiting.account {
        Some(account) => virtual_accounts::keep(conn, id, account).await,
        None => Ok(()),
    }
}

/// The next sending takes this key, and may go out at once: the old one may repeat a 5xx for as long as the gateway keeps it.
pub async fn renew_key(conn: &mut PgConnection, id: Uuid, fresh_key: Uuid) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments set status = 'pending', sent_at = null, idempotency_key = $2
         where id = $1 and status in ('pending', 'unknown')
        "#,
        id,
        fresh_key,
    )
    .execute(conn)
    .await?;
    one_row("renew the key of a payment", &done)
}

/// The gateway's answer could not be recorded as what it is: its facts are, and a person has it. Answers whether the
/// payment was unfinished still.
pub async fn put_aside(
    conn: &mut PgConnection,
    id: Uuid,
    facts: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        update payments
           set status = 'unknown', unknown_since = coalesce(unknown_since, $2), review_since = coalesce(review_since, $2),
               toss_message = $3
         where id = $1 and status in ('pending', 'unknown') and sent_at is not null
        "#,
        id,
        now,
        facts,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The next request of the payment leaves out what is optional.
pub async fn make_plain(conn: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    let done = sqlx::query!("update payments set is_plain = true where id = $1", id).execute(conn).await?;
    one_row("leave optional fields out", &done)
}

/// Withdraws an attempt that was never sent, or never arrived as far as look-ups can tell. No decline: it counts nothing.
pub async fn withdraw(
    conn: &mut PgConnection,
    id: Uuid,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update payments set status = 'failed', toss_message = $2, settled_at = $3
         where id = $1
           and (status = 'pending' and sent_at is null
                or status = 'unknown'
                   and (not_found_count > 1
                        or exists (select from payment_claims
                                    where payment_id = $1 and claim = 'not_paid' and state = 'confirmed')))
        "#,
        id,
        why,
        now,
    )
    .execute(conn)
    .await?;
    one_row("withdraw an attempt", &done)
}

/// Books what has gone back of a captured payment.
pub async fn mark_refunded(conn: &mut PgConnection, id: Uuid, whole: bool) -> Result<(), StoreError> {
    let status = if whole { "refunded" } else { "partially_refunded" };
    let done =
        sqlx::query!("update payments set status = $2 where id = $1", id, status).execute(conn).await?;
    one_row("book a refund", &done)
}

/// A person has to look at it from now on.
pub async fn mark_for_review(
    conn: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update payments set review_since = coalesce(review_since, $2) where id = $1 and status = 'unknown'",
        id,
        now,
    )
    .execute(conn)
    .await?;
    one_row("put a payment in review", &done)
}

/// Attempts that have had no outcome since `before` and that no person has: now one has. Answers their ids.
pub async fn mark_overdue_for_review(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        update payments
           set review_since = $2, status = 'unknown', unknown_since = coalesce(unknown_since, sent_at)
         where id in (select id from payments
                       where status in ('pending', 'unknown') and review_since is null and sent_at is not null
                         and coalesce(deposit_due_at, unknown_since, sent_at) <= $1
                       order by created_at limit 1000
                         for update skip locked)
        returning id
        "#,
        before,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The payment that a period of a subscription was paid with, unless all of it has gone back.
pub async fn paid_for(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    period_no: u32,
) -> Result<Option<Payment>, StoreError> {
    let row = sqlx::query!(
        r#"
        select payment.id from payments payment join invoices invoice on invoice.id = payment.invoice_id
         where invoice.subscription_id = $1 and invoice.period_no = $2
           and payment.status in ('completed', 'partially_refunded')
        "#,
        subscription_id,
        number(period_no),
    )
    .fetch_optional(&mut *conn)
    .await?;
    match row {
        Some(row) => find(conn, row.id).await,
        None => Ok(None),
    }
}

/// Our payment with this key; the captured one, should several attempts have named it. Each condition has an index.
pub async fn id_by_key(conn: &mut PgConnection, payment_key: &str) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"
        select id from payments
         where payment_key = $1 and status in ('completed', 'refunded', 'partially_refunded')
            or payment_key = $1 and status in ('pending', 'unknown', 'failed')
         order by (status in ('completed', 'refunded', 'partially_refunded')) desc, created_at desc
         limit 1
        "#,
        payment_key
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// The secret that came with the captured payment, if one did.
pub async fn secret_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<SecretString>, StoreError> {
    let secret = sqlx::query_scalar!("select toss_secret from payments where id = $1", id)
        .fetch_optional(conn)
        .await?;
    Ok(secret.flatten().map(SecretString::from))
}

/// The job that looks after an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveJob {
    /// It waits until this instant.
    Waiting { job: i64, run_at: DateTime<Utc> },
    /// It is at work, or an operator's.
    Busy,
}

/// The job that will move this invoice on, if it has not been lost.
pub async fn live_job_of(conn: &mut PgConnection, invoice_id: Uuid) -> Result<Option<LiveJob>, StoreError> {
    let row = sqlx::query!(
        r#"
        select id, run_at, state = 'available' as "waits!" from jobs
         where state in ('available', 'running', 'parked')
           and kind in ('charge-subscription', 'confirm-payment')
           and about = $1
         order by state = 'available', run_at
         limit 1
        "#,
        invoice_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(
        |row| if row.waits { LiveJob::Waiting { job: row.id, run_at: row.run_at } } else { LiveJob::Busy },
    ))
}

/// How each of these was paid (`card`, `easy_pay`…), where that is known.
pub async fn methods_of(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, String>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, payment_method as "method!" from payments where id = any($1) and payment_method is not null"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.method)).collect())
}

/// Whether the payment was made by deposit into a virtual account. The gateway gives one back only to a named bank account.
pub async fn is_deposit(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"
        select exists (select from payments where id = $1 and payment_method = 'virtual_account') as "is_deposit!"
        "#,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(row.is_deposit)
}

/// The last payment that was captured with the billing keys, if there is one: only its merchant can read it.
pub async fn last_captured_charge(conn: &mut PgConnection) -> Result<Option<Payment>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"
        select id from payments
         where paid_at is not null and kind in ('renewal', 'new_card')
         order by id desc limit 1
        "#
    )
    .fetch_optional(&mut *conn)
    .await?;
    match id {
        Some(id) => find(conn, id).await,
        None => Ok(None),
    }
}
