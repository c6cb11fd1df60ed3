//! The scheduler, not more often than it can make a difference, and the sweep.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, TimeDelta};
use common::domain::calendar::seoul_date;
use sandbox::LedgerQuery;
use worker::{scheduler, sweep};

use crate::life::Life;

impl Life<'_> {
    pub(crate) async fn run_the_schedule(&mut self) {
        let due = self.bench.schedule.last_due(self.bench.now());
        let lost = self.lost_jobs_at.is_some();
        if lost || due != self.scheduled {
            self.scheduled = due;
            self.begin_the_day(due.unwrap()).await;
        }
        let swept = sweep::sweep(&self.bench.hosts[0].env).await.unwrap();
        if swept > 0 {
            self.story.tell(format!("the sweep makes {swept} jobs"));
        }
        // The sweep leaves alone what has not waited for two minutes.
        self.lost_jobs_at = self.lost_jobs_at.filter(|at| self.bench.now() - *at < TimeDelta::minutes(3));
    }

    /// Days on which no money moved count as compared: comparing nothing with nothing is not worth the time.
    async fn begin_the_day(&mut self, date: NaiveDate) {
        let entries = self.bench.sandbox.ledger(&LedgerQuery::default()).entries;
        let moved: BTreeSet<NaiveDate> = entries.iter().map(|entry| seoul_date(entry.at)).collect();
        let a_month_ago = date.checked_sub_days(Days::new(31)).unwrap();
        let first = moved.first().map_or(a_month_ago, |first| a_month_ago.min(*first));
        let idle = first.iter_days().take_while(|day| *day < date);
        let idle: Vec<NaiveDate> = idle.filter(|day| !moved.contains(day)).collect();
        let compared = sqlx::query(
            "insert into reconciliation_runs (id, date, job_id, started_at, finished_at, captures, refunds, payments,
                                              our_refunds, discrepancies_open, discrepancies_new, discrepancies_ended)
             select gen_random_uuid(), day, 0, $2, $2, 0, 0, 0, 0, 0, 0, 0 from unnest($1::date[]) day
              where not exists (select from reconciliation_runs run where run.date = day)",
        );
        compared.bind(&idle).bind(self.bench.now()).execute(self.bench.desk()).await.unwrap();
        scheduler::catch_up(&self.bench.hosts[0].env, &self.bench.schedule).await.unwrap();
        let spared = sqlx::query(
            "delete from jobs where kind = 'reconcile-payments' and state = 'available'
                and (subject->>'date')::date = any ($1)
                and not exists (select from discrepancies found
                                 where found.date = (subject->>'date')::date and found.resolved_at is null)",
        );
        spared.bind(&idle).execute(self.bench.desk()).await.unwrap();
    }
}
