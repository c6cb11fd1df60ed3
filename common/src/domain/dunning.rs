//! What follows a declined charge: the days of the next tries, and the suspension after the last.

use chrono::{DateTime, NaiveTime, Utc};

use super::calendar::{OutOfCalendar, days_after, seoul_date, seoul_instant, seoul_time};

/// Days between one decline and the next try. The default `[3, 3]` reads: declined on D, retried on
/// D+3 and D+6, suspended at the third decline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub retry_days: Vec<u32>,
}

/// What comes after an attempt of the dunning schedule went without money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// The next try, at this instant.
    RetryAt(DateTime<Utc>),
    /// That was the last one.
    Suspend,
}

impl Policy {
    /// How many declines suspend: one more than there are retries.
    pub fn steps(&self) -> usize {
        self.retry_days.len().saturating_add(1)
    }

    /// What follows the step that has just gone without money. `attempts_used` counts it in.
    ///
    /// The next try comes on its civil date in Seoul at the hour of the daily run (`charge_time`), but never later in
    /// the day than the failed one, so that "three days later" is never more than 72 hours away.
    pub fn after(
        &self,
        attempts_used: usize,
        now: DateTime<Utc>,
        charge_time: NaiveTime,
    ) -> Result<NextStep, OutOfCalendar> {
        let Some(days) = attempts_used.checked_sub(1).and_then(|index| self.retry_days.get(index)) else {
            return Ok(NextStep::Suspend);
        };
        let date = days_after(seoul_date(now), *days)?;
        Ok(NextStep::RetryAt(seoul_instant(date, charge_time.min(seoul_time(now)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn two_in_the_morning() -> NaiveTime {
        NaiveTime::from_hms_opt(2, 0, 0).unwrap()
    }

    #[test]
    fn a_decline_on_d_is_retried_on_d3_and_d6_then_suspended() {
        let policy = Policy { retry_days: vec![3, 3] };
        let after = |steps, now: &str| policy.after(steps, at(now), two_in_the_morning()).unwrap();
        assert_eq!(after(1, "2026-12-22T02:00:04+09:00"), NextStep::RetryAt(at("2026-12-25T02:00:00+09:00")));
        assert_eq!(after(2, "2026-12-25T02:00:04+09:00"), NextStep::RetryAt(at("2026-12-28T02:00:00+09:00")));
        assert_eq!(after(3, "2026-12-28T02:00:04+09:00"), NextStep::Suspend);
        assert_eq!(policy.steps(), 3);
    }

    #[test]
    fn a_late_failure_is_retried_in_the_morning_run_of_its_date() {
        let policy = Policy { retry_days: vec![3] };
        let next = policy.after(1, at("2026-12-22T23:59:59+09:00"), two_in_the_morning()).unwrap();
        assert_eq!(next, NextStep::RetryAt(at("2026-12-25T02:00:00+09:00")));
    }

    #[test]
    fn a_failure_after_midnight_waits_72_hours_at_most() {
        let policy = Policy { retry_days: vec![3] };
        let next = policy.after(1, at("2026-12-22T00:30:00+09:00"), two_in_the_morning()).unwrap();
        assert_eq!(next, NextStep::RetryAt(at("2026-12-25T00:30:00+09:00")));
    }

    #[test]
    fn without_retries_the_first_decline_suspends() {
        let policy = Policy { retry_days: vec![] };
        let next = policy.after(1, at("2026-12-22T02:00:00+09:00"), two_in_the_morning()).unwrap();
        assert_eq!(next, NextStep::Suspend);
    }
}
