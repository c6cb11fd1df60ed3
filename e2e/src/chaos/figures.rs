//! What came of a run, as JSON and as a table.

use std::{path::Path, sync::atomic::Ordering::Relaxed};

use serde::Serialize;
use sqlx::PgPool;

use super::{books::Verdict, storm::Tally};
use crate::{bank::Ledger, table};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub due_subscriptions: usize,
    pub new_customers: u64,
    #[serde(flatten)]
    pub verdict: Verdict,
    #[serde(flatten)]
    pub work: Work,
    pub asked_to_charge: u64,
    pub asked_to_confirm: u64,
    pub asked_to_look_up: u64,
    /// E-mails that went out a second time after a crash, under the same Message-ID.
    pub letter_copies: u64,
    pub worker_kills: u64,
    pub api_kills: u64,
    pub database_crashes: u64,
    /// Processes that ended although nobody killed them.
    pub processes_fallen: u64,
    /// Parked jobs that were tried again, as an operator would.
    pub jobs_unparked: u64,
    pub storm_seconds: f64,
    /// From the last blow to the moment when nothing was left to do.
    pub seconds_to_quiescence: f64,
}

/// What the job table and the payments say about how it went.
#[derive(Debug, Default, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Payments whose outcome was unknown at some time and is known now.
    pub unknown_resolved: i64,
    /// Tries that were run again because their worker died.
    pub reruns_after_crashes: i64,
    /// Tries that were run again because our own machinery broke, as when the database is away.
    pub reruns_after_errors: i64,
    pub jobs_done: i64,
    pub jobs_failed_for_good: i64,
    pub letters_sent: i64,
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
                    (select count(*) from emails where status = 'sent') as letters_sent",
        );
        Ok(work.fetch_one(pool).await?)
    }
}

/// How long the two halves of a run took.
pub(super) struct Times {
    pub(super) storm: std::time::Duration,
    pub(super) calm: std::time::Duration,
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
        let sent = u64::try_from(work.letters_sent).unwrap_or_default();
        Ok(Self {
            due_subscriptions: 0,
            new_customers: tally.signed_up.load(Relaxed),
            verdict: Verdict::of(pool, ledger).await?,
            asked_to_charge: ledger.asked("charge"),
            asked_to_confirm: ledger.asked("confirm"),
            asked_to_look_up: ledger.asked("lookup"),
            letter_copies: letters(mail)?.saturating_sub(sent),
            worker_kills: tally.worker_kills.load(Relaxed),
            api_kills: tally.api_kills.load(Relaxed),
            database_crashes: tally.database_crashes.load(Relaxed),
            processes_fallen: tally.fell.load(Relaxed),
            jobs_unparked: tally.unparked.load(Relaxed),
            storm_seconds: times.storm.as_secs_f64(),
            seconds_to_quiescence: times.calm.as_secs_f64(),
            work,
        })
    }

    pub fn is_good(&self) -> bool {
        self.verdict.is_good()
    }

    pub fn as_table(&self) -> String {
        let row = |name: &str, figure: String| vec![name.to_owned(), figure];
        let Self { verdict, work, .. } = self;
        let mut text = table::write(&[
            row("due subscriptions", self.due_subscriptions.to_string()),
            row("new customers meanwhile", self.new_customers.to_string()),
            row("charged once", verdict.charged.to_string()),
            row("refused by the bank", verdict.refused.to_string()),
            row("with a person", verdict.with_a_person.to_string()),
            row("still unsettled", verdict.unsettled.to_string()),
            row("DOUBLES", verdict.doubles.to_string()),
            row("LOSSES", verdict.losses.saturating_add(verdict.unknown_captures).to_string()),
            row("unknown outcomes resolved", work.unknown_resolved.to_string()),
            row("re-runs after crashes", work.reruns_after_crashes.to_string()),
            row("re-runs after errors", work.reruns_after_errors.to_string()),
            row("jobs unparked by hand", self.jobs_unparked.to_string()),
            row("jobs failed for good", work.jobs_failed_for_good.to_string()),
            row("charges asked for", self.asked_to_charge.to_string()),
            row("look-ups asked for", self.asked_to_look_up.to_string()),
            row("e-mails", work.letters_sent.to_string()),
            row("e-mails sent again", self.letter_copies.to_string()),
            row("kill -9 of a worker", self.worker_kills.to_string()),
            row("kill -9 of the API", self.api_kills.to_string()),
            row("crashes of PostgreSQL", self.database_crashes.to_string()),
            row("processes fallen by themselves", self.processes_fallen.to_string()),
            row("storm, s", format!("{:.0}", self.storm_seconds)),
            row("from the last blow to quiet, s", format!("{:.0}", self.seconds_to_quiescence)),
        ]);
        for line in &verdict.wrong {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

fn letters(mail: &Path) -> anyhow::Result<u64> {
    let mut count = 0_u64;
    for entry in std::fs::read_dir(mail)? {
        if entry?.path().extension().is_some_and(|kind| kind == "eml") {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}
