//! When the daily runs are due: ticks by cron, catches up at every start, and follows a test clock that was moved.

use std::{convert::Infallible, str::FromStr, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Asia::Seoul;
use chrono_tz::Tz;
use common::domain::calendar::seoul_midnight;
use common::jobs;
use common::jobs::{ReconcilePayments, ScanDueSubscriptions, SendRenewalNotices};
use common::queue::{Enqueued, JobError, Progress};
use common::store::reconcile;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::env::Env;

/// How many days of the books a daily run compares at most: those that were missed, or that still differ.
const RECONCILE_DAYS: i64 = 100;
/// How often the scheduler is asked whether it is alive.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// `SCAN_CRON`: second, minute, hour, day, month, weekday, in Seoul.
#[derive(Debug, Clone)]
pub struct Schedule(Arc<Cron>);

/// The pattern is not one, or never comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchedule(String);

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(pattern: &str) -> Result<Self, BadSchedule> {
        let parser = CronParser::builder().seconds(Seconds::Required).build();
        let cron = parser.parse(pattern).map_err(|error| BadSchedule(error.to_string()))?;
        let schedule = Self(Arc::new(cron));
        schedule.charge_time().map(|_| schedule)
    }
}

impl Schedule {
    /// The time of day of the run, at which declined charges are tried again too.
    pub fn charge_time(&self) -> Result<NaiveTime, BadSchedule> {
        let monday = NaiveDate::from_ymd_opt(2026, 1, 5).map(seoul_midnight).unwrap_or_default();
        let next = self.0.find_next_occurrence(&monday.with_timezone(&Seoul), true);
        next.map(|at| at.time()).map_err(|error| BadSchedule(error.to_string()))
    }

    /// The civil date of the last run that should have begun by `now`.
    pub fn last_due(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let local: DateTime<Tz> = now.with_timezone(&Seoul);
        self.0.find_previous_occurrence(&local, true).ok().map(|at| at.date_naive())
    }
}

/// Enqueues the daily runs that should have begun, unless any process has: late, never lost, never twice.
pub async fn catch_up(env: &Env, schedule: &Schedule) -> Result<(), JobError> {
    let now = env.clock.now();
    let Some(date) = schedule.last_due(now) else { return Ok(()) };
    let mut tx = env.pool.begin().await?;
    let scan = jobs::enqueue(&mut tx, &ScanDueSubscriptions { date }, now, now).await?;
    let notices =
        jobs::enqueue(&mut tx, &SendRenewalNotices { date, subscription_id: None }, now, now).await?;
    if let Some(yesterday) = date.pred_opt() {
        for day in reconcile::days_to_compare(&mut tx, yesterday, RECONCILE_DAYS).await? {
            let job = ReconcilePayments { date: day, daily_run: Some(date) };
            jobs::enqueue(&mut tx, &job, now, now).await?;
        }
    }
    tx.commit().await?;
    if matches!(scan, Enqueued::New(_)) {
        tracing::info!(%date, scan.job = scan.id(), notices.job = notices.id(), "daily runs enqueued");
    }
    Ok(())
}

/// Ticks until it is dropped. Every process may: the job table keeps each day's run unique. The sweep enqueues the same
/// runs up to 15 seconds later, so a tick that is lost costs no more than that.
pub(crate) async fn run(
    env: &Env,
    schedule: &Schedule,
    progress: &Progress,
) -> Result<Infallible, JobSchedulerError> {
    let mut scheduler = JobScheduler::new().await?;
    let (env, ticking) = (env.clone(), schedule.clone());
    let tick = Job::new_async_tz(schedule.0.as_str(), Seoul, move |_, _| {
        let (env, schedule) = (env.clone(), ticking.clone());
        Box::pin(async move {
            if let Err(error) = catch_up(&env, &schedule).await {
                tracing::warn!(%error, "the daily runs could not be enqueued; the next look does it");
            }
        })
    })?;
    scheduler.add(tick).await?;
    scheduler.start().await?;
    loop {
        // It runs in tasks of its own. One that died answers nothing, and no progress is marked.
        scheduler.time_till_next_job().await?;
        progress.mark();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn the_run_of_a_day_is_due_from_two_in_the_morning_in_seoul() {
        let schedule: Schedule = "0 0 2 * * *".parse().unwrap();
        let due = |now: &str| schedule.last_due(at(now)).unwrap().to_string();
        assert_eq!(due("2026-12-22T01:59:59+09:00"), "2026-12-21");
        assert_eq!(due("2026-12-22T02:00:00+09:00"), "2026-12-22");
        assert_eq!(due("2026-12-22T23:59:59+09:00"), "2026-12-22");
        assert_eq!(schedule.charge_time().unwrap(), NaiveTime::from_hms_opt(2, 0, 0).unwrap());
    }

    #[test]
    fn a_pattern_without_seconds_or_without_sense_is_refused() {
        for pattern in ["", "0 2 * * *", "0 0 25 * * *", "every day"] {
            assert!(pattern.parse::<Schedule>().is_err(), "{pattern}");
        }
    }
}
