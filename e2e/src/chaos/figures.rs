//! The result of a chaos run, as JSON and as a table.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;
use sqlx::PgPool;

use super::faults::Tally;
use super::ledger_check::LedgerCheck;
use crate::bank::Ledger;
use crate::table;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub due_subscriptions: usize,
    pub new_customers: u64,
    #[serde(flatten)]
    pub check: LedgerCheck,
    #[serde(flatten)]
    pub work: Work,
    pub charge_requests: u64,
    pub confirm_requests: u64,
    pub lookup_requests: u64,
    /// E-mails that went out a second time after a crash, under the same Message-ID.
    pub email_copies: u64,
    pub worker_kills: u64,
    pub api_kills: u64,
    pub database_crashes: u64,
    /// Processes that exited without being killed.
    pub processes_exited: u64,
    /// Parked jobs that were retried.
    pub jobs_unparked: u64,
    pub fault_seconds: f64,
    /// From the last fault until no work remained.
    pub settle_seconds: f64,
}

/// Counts from the job table and the payments.
#[derive(Debug, Default, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Payments whose outcome was unknown once and is known now.
    pub unknown_resolved: i64,
    /// Attempts that were repeated because their worker died.
    pub reruns_after_crashes: i64,
    /// Attempts that were repeated after an internal error, such as a database that was down.
    pub reruns_after_errors: i64,
    pub jobs_done: i64,
    pub jobs_failed_for_good: i64,
    pub emails_sent: i64,
}

impl Work {
    pub(super) async fn of(pool: &PgPool) -> anyhow::Result<Self> {
        let work = sqlx::query_as(
            "select (select count(*) from payments
                      where unknown_since is not null and status not in ('pending', 'unknown')) as unknown_resolved,
                    (select coalesce(sum(crashes), 0)::bigint from jobs) as reruns_after_crashes,
                    (select count(*) from jobs where retry_of is not null) as reruns_after_errors,
                    (select count(*) from jobs where state = 'done') as jobs_done,
                    (select count(*) from jobs where state = 'failed' and next_id is null) as jobs_failed_for_good,
                    (select count(*) from emails where status = 'sent') as emails_sent",
        );
        Ok(work.fetch_one(pool).await?)
    }
}

/// Durations of the two halves of a run.
pub(super) struct Times {
    pub(super) faults: std::time::Duration,
    pub(super) settle: std::time::Duration,
}

impl Figures {
    pub(super) async fn of(
        pool: &PgPool,
        ledger: &Ledger,
        tally: &Tally,
        times: &Times,
        mail: &Path,
    ) -> anyhow::Result<Self> {
        let work = Work::of(pool).await?;
        let sent = u64::try_from(work.emails_sent).unwrap_or_default();
        Ok(Self {
            due_subscriptions: 0,
            new_customers: tally.signed_up.load(Relaxed),
            check: LedgerCheck::of(pool, ledger).await?,
            charge_requests: ledger.request_count("charge"),
            confirm_requests: ledger.request_count("confirm"),
            lookup_requests: ledger.request_count("lookup"),
            email_copies: emails(mail)?.saturating_sub(sent),
            worker_kills: tally.worker_kills.load(Relaxed),
            api_kills: tally.api_kills.load(Relaxed),
            database_crashes: tally.database_crashes.load(Relaxed),
            processes_exited: tally.exited.load(Relaxed),
            jobs_unparked: tally.unparked.load(Relaxed),
            fault_seconds: times.faults.as_secs_f64(),
            settle_seconds: times.settle.as_secs_f64(),
            work,
        })
    }

    pub fn is_good(&self) -> bool {
        self.check.is_good()
    }

    pub fn as_table(&self) -> String {
        let row = |name: &str, figure: String| vec![name.to_owned(), figure];
        let Self { check, work, .. } = self;
        let mut text = table::write(&[
            row("due subscriptions", self.due_subscriptions.to_string()),
            row("new customers", self.new_customers.to_string()),
            row("charged once", check.charged.to_string()),
            row("declined", check.declined.to_string()),
            row("on hold or in review", check.needs_operator.to_string()),
            row("still unfinished", check.unfinished.to_string()),
            row("CHARGED TWICE", check.charged_twice.to_string()),
            row("LOST", check.lost.saturating_add(check.unknown_captures).to_string()),
            row("unknown outcomes resolved", work.unknown_resolved.to_string()),
            row("repeated after crashes", work.reruns_after_crashes.to_string()),
            row("repeated after errors", work.reruns_after_errors.to_string()),
            row("parked jobs retried", self.jobs_unparked.to_string()),
            row("jobs failed for good", work.jobs_failed_for_good.to_string()),
            row("charge requests", self.charge_requests.to_string()),
            row("look-up requests", self.lookup_requests.to_string()),
            row("e-mails", work.emails_sent.to_string()),
            row("e-mails sent again", self.email_copies.to_string()),
            row("kill -9 of a worker", self.worker_kills.to_string()),
            row("kill -9 of the API", self.api_kills.to_string()),
            row("crashes of PostgreSQL", self.database_crashes.to_string()),
            row("processes that exited unasked", self.processes_exited.to_string()),
            row("faults, s", format!("{:.0}", self.fault_seconds)),
            row("settling, s", format!("{:.0}", self.settle_seconds)),
        ]);
        for line in &check.wrong {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

fn emails(mail: &Path) -> anyhow::Result<u64> {
    let mut count = 0_u64;
    for entry in std::fs::read_dir(mail)? {
        if entry?.path().extension().is_some_and(|kind| kind == "eml") {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}
