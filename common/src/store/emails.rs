//! The outbox: e-mails are written with the fact they tell, once per unique key, and sent by a job.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use queue::{Lease, NewJob};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{StoreError, gate::GatewayStatus, one_row};

/// An e-mail that is to be written.
#[derive(Debug, Clone, Serialize)]
pub struct NewEmail {
    pub id: Uuid,
    pub kind: String,
    /// kind, subscription, period, attempt.
    pub unique_key: String,
    pub user_id: Uuid,
    pub subscription_id: Uuid,
    pub to_address: String,
    pub subject: String,
    pub body_html: String,
    pub body_text: String,
    /// Stable per row: a copy sent twice after a crash is recognisable.
    pub message_id: String,
    /// After this instant it would tell something stale, and is dropped.
    pub send_before: Option<DateTime<Utc>>,
    /// Sends it. It has no unique key of its own.
    #[serde(skip)]
    pub job: NewJob,
}

/// An e-mail that is still to be sent.
#[derive(Debug, Clone)]
pub struct QueuedEmail {
    pub id: Uuid,
    pub kind: String,
    pub unique_key: String,
    pub subscription_id: Uuid,
    pub to_address: String,
    pub subject: String,
    pub body_html: String,
    pub body_text: String,
    pub message_id: String,
    pub send_before: Option<DateTime<Utc>>,
    pub resend_of: Option<Uuid>,
    pub created_at: DateTime<Utc>,
}

/// Whether an e-mail is still to be sent, and what became of it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    sqlx::Type,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EmailStatus {
    Queued,
    Sent,
    /// Its moment had passed, or there was no reason for it any more.
    Dropped,
    /// The mail server refused it for good.
    Failed,
}

/// An e-mail as operators read it.
#[derive(Debug, Clone)]
pub struct Email {
    pub id: Uuid,
    pub kind: String,
    pub status: EmailStatus,
    pub subscription_id: Uuid,
    pub user_id: Uuid,
    pub to_address: String,
    pub subject: String,
    pub body_html: String,
    pub body_text: String,
    pub message_id: String,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub next_try_at: Option<DateTime<Utc>>,
    pub send_before: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
    pub resend_of: Option<Uuid>,
}

/// Which e-mails to list. All conditions that are given must hold.
#[derive(Debug, Clone, Default)]
pub struct EmailFilter {
    pub status: Option<EmailStatus>,
    pub subscription_id: Option<Uuid>,
    pub created_before: Option<DateTime<Utc>>,
    pub limit: i64,
}

/// Writes the e-mail and the job that sends it, unless its unique key exists. Answers whether it is new.
pub async fn insert(conn: &mut PgConnection, new: &NewEmail, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let (email, job) = new.as_json()?;
    let is_new = sqlx::query_scalar!(r#"select post_email($1, $2, $3, true) as "is_new!""#, email, job, now)
        .fetch_one(conn)
        .await?;
    Ok(is_new)
}

impl NewEmail {
    /// The e-mail and its job, as the function `post_email` takes them.
    pub(super) fn as_json(&self) -> Result<(Value, Value), StoreError> {
        let encoded = |error: serde_json::Error| sqlx::Error::Encode(error.into());
        let email = serde_json::to_value(self).map_err(encoded)?;
        Ok((email, serde_json::to_value(&self.job).map_err(encoded)?))
    }
}

/// Those of the e-mails that are still to be sent, each with what stands between jobs and the outside.
pub async fn find_queued(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, (QueuedEmail, GatewayStatus)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select id, kind, unique_key, subscription_id, to_address, subject, body_html, body_text, message_id, send_before,
               resend_of, created_at, (select gateway_status()) as "gateway!: Json<GatewayStatus>"
          from emails where id = any ($1) and status = 'queued'
        "#,
        ids
    )
    .fetch_all(conn)
    .await?;
    let queued = rows.into_iter().map(|row| {
        let email = QueuedEmail {
            id: row.id,
            kind: row.kind,
            unique_key: row.unique_key,
            subscription_id: row.subscription_id,
            to_address: row.to_address,
            subject: row.subject,
            body_html: row.body_html,
            body_text: row.body_text,
            message_id: row.message_id,
            send_before: row.send_before,
            resend_of: row.resend_of,
            created_at: row.created_at,
        };
        (email.id, (email, row.gateway.0))
    });
    Ok(queued.collect())
}

/// An e-mail that the mail server has taken, and the job that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEmail {
    pub id: Uuid,
    pub lease: Lease,
    /// What the job says of it.
    pub note: String,
}

/// What came of recording e-mails together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Jobs that were still ours and have ended with their e-mails.
    pub ended: Vec<i64>,
    /// E-mails whose row somebody holds: not recorded.
    pub locked: Vec<Uuid>,
}

/// Records that the mail server has taken these, and ends their jobs. An e-mail that has ended already stays as it is. A row that
/// somebody holds is left out: nobody else's e-mail waits for it.
pub async fn settle_sent(
    conn: &mut PgConnection,
    sent: &[SentEmail],
    now: DateTime<Utc>,
) -> Result<Settled, StoreError> {
    let ids: Vec<Uuid> = sent.iter().map(|email| email.id).collect();
    let jobs: Vec<i64> = sent.iter().map(|email| email.lease.id()).collect();
    let tokens: Vec<Uuid> = sent.iter().map(|email| email.lease.token()).collect();
    let notes: Vec<String> = sent.iter().map(|email| email.note.clone()).collect();
    let settled = sqlx::query_file_as!(
        Settled,
        "src/store/sql/emails_settle_sent.sql",
        &ids,
        now,
        &jobs,
        &tokens,
        &notes,
    );
    Ok(settled.fetch_one(conn).await?)
}

/// How an e-mail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EmailEnd {
    Sent,
    /// Its moment had passed.
    Dropped,
    /// The mail server refused it for good.
    Failed,
}

pub async fn settle(
    conn: &mut PgConnection,
    id: Uuid,
    end: EmailEnd,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update emails set status = $2, last_error = $3, settled_at = $4, next_try_at = null
         where id = $1 and status = 'queued'
        "#,
        id,
        <&str>::from(end),
        error,
        now,
    )
    .execute(conn)
    .await?;
    one_row("settle an e-mail", &done)
}

/// Records a try that did not end the e-mail.
pub async fn postpone(
    conn: &mut PgConnection,
    id: Uuid,
    error: &str,
    next_try_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        update emails set attempts = attempts + 1, last_error = $2, next_try_at = $3
         where id = $1 and status = 'queued'
        "#,
        id,
        error,
        next_try_at,
    )
    .execute(conn)
    .await?;
    one_row("postpone an e-mail", &done)
}

/// Newest first.
pub async fn list(conn: &mut PgConnection, filter: &EmailFilter) -> Result<Vec<Email>, StoreError> {
    let emails = sqlx::query_as!(
        Email,
        r#"
        select id, kind, status as "status: EmailStatus", subscription_id, user_id, to_address, subject, body_html,
               body_text, message_id, attempts, last_error, next_try_at, send_before, created_at, settled_at, resend_of
          from emails
         where ($1::text is null or status = $1) and ($2::uuid is null or subscription_id = $2)
           and ($3::timestamptz is null or created_at <= $3)
         order by created_at desc, id desc limit $4
        "#,
        filter.status.map(<&str>::from),
        filter.subscription_id,
        filter.created_before,
        filter.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(emails)
}

pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Email>, StoreError> {
    let email = sqlx::query_as!(
        Email,
        r#"
        select id, kind, status as "status: EmailStatus", subscription_id, user_id, to_address, subject, body_html,
               body_text, message_id, attempts, last_error, next_try_at, send_before, created_at, settled_at, resend_of
          from emails where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(email)
}

/// Queues a copy with a Message-ID of its own. The copy has no moment after which it is dropped.
pub async fn insert_copy(
    conn: &mut PgConnection,
    of_id: Uuid,
    id: Uuid,
    to_address: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"
        insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text,
                            message_id, resend_of, created_at)
        select $2, kind, 'resend:' || $2::uuid::text, user_id, subscription_id, $3, subject, body_html, body_text,
               replace($2::uuid::text, '-', '') || '@' || split_part(message_id, '@', 2), id, $4
          from emails where id = $1
        "#,
        of_id,
        id,
        to_address,
        now,
    )
    .execute(conn)
    .await?;
    one_row("copy an e-mail", &done)
}

/// The waiting, running or parked job of an e-mail.
pub async fn live_job(conn: &mut PgConnection, id: Uuid) -> Result<Option<i64>, StoreError> {
    let job = sqlx::query_scalar!(
        r#"
        select id from jobs
         where jobs.about = $1 and jobs.state in ('available', 'running', 'parked')
           and jobs.kind = 'send-email'
         order by id limit 1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(job)
}
