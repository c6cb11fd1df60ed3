//! What `billing doctor` reads: settings of the server that do harm, and rows that wait for a person.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// The server as it is set up.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// By the server's clock.
    pub now: DateTime<Utc>,
    /// `server_version_num`, e.g. 150004.
    pub version: i32,
    /// Whether a commit that was answered survives a power cut.
    pub is_durable: bool,
    pub connections: i64,
    pub max_connections: i64,
    /// Open transactions that have been idle for more than a minute: they hold their locks.
    pub idle_transactions: i64,
}

pub async fn server(conn: &mut PgConnection) -> Result<ServerFacts, StoreError> {
    let facts = sqlx::query_as!(
        ServerFacts,
        r#"
        select clock_timestamp() as "now!", current_setting('server_version_num')::int as "version!",
               current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on'
                   and current_setting('synchronous_commit') <> 'off' as "is_durable!",
               (select count(*) from pg_stat_activity where backend_type = 'client backend') as "connections!",
               current_setting('max_connections')::bigint as "max_connections!",
               (select count(*) from pg_stat_activity
                 where datname = current_database() and state like 'idle in transaction%'
                   and state_change < clock_timestamp() - interval '1 minute') as "idle_transactions!"
        "#
    )
    .fetch_one(conn)
    .await?;
    Ok(facts)
}

/// How many rows wait for a person, or wait for longer than they should.
#[derive(Debug, Clone)]
pub struct WaitingRows {
    pub jobs_parked: i64,
    /// Due for more than ten minutes, and no worker has taken them.
    pub jobs_late: i64,
    /// Unknown for more than a day.
    pub payments_unknown: i64,
    pub refunds_unknown: i64,
    pub invoices_held: i64,
    /// For more than an hour.
    pub emails_waiting: i64,
    /// In the last day.
    pub emails_failed: i64,
    /// In the last day.
    pub webhooks_failed: i64,
    pub events_failed: i64,
    pub discrepancies_open: i64,
    /// Subscriptions that are charged by themselves.
    pub renewing: i64,
    /// When the last daily scan ended.
    pub last_scan_at: Option<DateTime<Utc>>,
}

pub async fn waiting_rows(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<WaitingRows, StoreError> {
    let rows = sqlx::query_as!(
        WaitingRows,
        r#"
        select (select count(*) from jobs where state = 'parked') as "jobs_parked!",
               (select count(*) from jobs where state = 'available' and run_at < $1::timestamptz - interval '10 minutes') as "jobs_late!",
               (select count(*) from payments
                 where status = 'unknown' and unknown_since < $1::timestamptz - interval '1 day') as "payments_unknown!",
               (select count(*) from refunds
                 where status = 'unknown' and unknown_since < $1::timestamptz - interval '1 day') as "refunds_unknown!",
               (select count(*) from invoices where status = 'open' and held_since is not null) as "invoices_held!",
               (select count(*) from emails
                 where status = 'queued' and created_at < $1::timestamptz - interval '1 hour') as "emails_waiting!",
               (select count(*) from emails
                 where status = 'failed' and settled_at > $1::timestamptz - interval '1 day') as "emails_failed!",
               (select count(*) from webhook_events_in
                 where state = 'failed' and received_at > $1::timestamptz - interval '1 day') as "webhooks_failed!",
               (select count(*) from webhook_deliveries where state = 'failed') as "events_failed!",
               (select count(*) from discrepancies
                 where resolved_at is null and accepted_at is null) as "discrepancies_open!",
               (select count(*) from subscriptions where status in ('active', 'past_due')) as "renewing!",
               (select max(finished_at) from jobs
                 where kind = 'scan-due-subscriptions' and unique_key is not null and state = 'done') as last_scan_at
        "#,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(rows)
}
