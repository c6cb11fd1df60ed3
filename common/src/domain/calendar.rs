//! Civil dates in Asia/Seoul and the anchor rule: every period is counted from the first day, never from the one before.

use chrono::{DateTime, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Asia::Seoul;
use strum::{Display, EnumString, IntoStaticStr};

/// How often a subscription is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Cycle {
    Monthly,
    Yearly,
}

/// A date outside what the calendar can hold (year 262143 and beyond).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the date lies outside the calendar")]
pub struct OutOfCalendar;

impl Cycle {
    pub(super) fn months(self) -> u32 {
        match self {
            Self::Monthly => 1,
            Self::Yearly => 12,
        }
    }

    /// First day of period `period_no` (0 is the period that the first payment paid for).
    ///
    /// A day the month does not have becomes its last day, and only for that period:
    /// 31 Jan → 28 Feb → 31 Mar.
    pub fn period_start(self, anchor: NaiveDate, period_no: u32) -> Result<NaiveDate, OutOfCalendar> {
        let months = period_no.checked_mul(self.months()).ok_or(OutOfCalendar)?;
        anchor.checked_add_months(Months::new(months)).ok_or(OutOfCalendar)
    }

    /// First and last-plus-one day of period `period_no`.
    pub fn period(self, anchor: NaiveDate, period_no: u32) -> Result<Period, OutOfCalendar> {
        let next = period_no.checked_add(1).ok_or(OutOfCalendar)?;
        Ok(Period {
            no: period_no,
            start: self.period_start(anchor, period_no)?,
            end: self.period_start(anchor, next)?,
        })
    }
}

/// A stretch of days that one invoice pays for: `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub no: u32,
    pub start: NaiveDate,
    pub end: NaiveDate,
}

/// The civil date in Seoul at this instant.
pub fn seoul_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&Seoul).date_naive()
}

/// The time of day in Seoul at this instant.
pub fn seoul_time(at: DateTime<Utc>) -> NaiveTime {
    at.with_timezone(&Seoul).time()
}

/// The instant at which a civil date and time of day comes in Seoul.
///
/// Korea had daylight saving time until 1988; a time of day that a change skipped begins at the change.
pub fn seoul_instant(date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    let local = date.and_time(time);
    Seoul
        .from_local_datetime(&local)
        .earliest()
        .map_or_else(|| local.and_utc() - chrono::TimeDelta::hours(9), |at| at.with_timezone(&Utc))
}

/// The instant at which a civil date begins in Seoul.
pub fn seoul_midnight(date: NaiveDate) -> DateTime<Utc> {
    seoul_instant(date, NaiveTime::MIN)
}

/// `days` after `date`.
pub fn days_after(date: NaiveDate, days: u32) -> Result<NaiveDate, OutOfCalendar> {
    date.checked_add_days(Days::new(u64::from(days))).ok_or(OutOfCalendar)
}

/// A date as a Korean reader expects it: `2026년 12월 22일`.
pub fn korean_date(date: NaiveDate) -> String {
    use chrono::Datelike;
    format!("{}년 {}월 {}일", date.year(), date.month(), date.day())
}

/// As a Korean reader expects an instant, in Seoul, to the minute: `2026년 12월 2일 9시 5분`.
pub fn korean_moment(at: DateTime<Utc>) -> String {
    use chrono::Timelike;
    let time = seoul_time(at);
    format!("{} {}시 {}분", korean_date(seoul_date(at)), time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Datelike;
    use proptest::prelude::*;

    fn date(y: i32, m: u32, d: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(y, m, d).unwrap()
    }

    /// The same rule by brute force: walk month by month, then step back to the last day that exists.
    fn oracle(anchor: NaiveDate, months: u32) -> NaiveDate {
        let (mut y, mut m) = (anchor.year(), anchor.month());
        for _ in 0..months {
            (y, m) = if m == 12 { (y + 1, 1) } else { (y, m + 1) };
        }
        (1..=anchor.day()).rev().find_map(|d| NaiveDate::from_ymd_opt(y, m, d)).unwrap()
    }

    #[test]
    fn january_31_is_charged_on_february_28_and_march_31() {
        let starts: Vec<_> =
            (0..4).map(|n| Cycle::Monthly.period_start(date(2027, 1, 31), n).unwrap()).collect();
        assert_eq!(starts, [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]);
    }

    #[test]
    fn a_year_from_february_29_is_february_28() {
        let starts: Vec<_> =
            (0..5).map(|n| Cycle::Yearly.period_start(date(2028, 2, 29), n).unwrap()).collect();
        let expected =
            [(2028, 29), (2029, 28), (2030, 28), (2031, 28), (2032, 29)].map(|(y, d)| date(y, 2, d));
        assert_eq!(starts, expected);
    }

    #[test]
    fn every_anchor_day_agrees_with_a_naive_oracle_for_a_century() {
        for cycle in [Cycle::Monthly, Cycle::Yearly] {
            let mut anchor = date(1999, 1, 1);
            while anchor < date(2003, 1, 1) {
                let mut before = anchor;
                for n in 1..=(98 * 12 / cycle.months()) {
                    let start = cycle.period_start(anchor, n).unwrap();
                    assert_eq!(start, oracle(anchor, n * cycle.months()), "{anchor} {cycle} {n}");
                    assert!(start > before);
                    before = start;
                }
                anchor = anchor.succ_opt().unwrap();
            }
        }
    }

    #[test]
    fn today_in_seoul_begins_nine_hours_before_it_does_in_greenwich() {
        let before = "2026-12-21T14:59:59Z".parse().unwrap();
        let after = "2026-12-21T15:00:00Z".parse().unwrap();
        assert_eq!((seoul_date(before), seoul_date(after)), (date(2026, 12, 21), date(2026, 12, 22)));
        assert_eq!(seoul_midnight(date(2026, 12, 22)), after);
    }

    #[test]
    fn a_date_reads_as_a_korean_reader_expects() {
        assert_eq!(korean_date(date(2026, 12, 2)), "2026년 12월 2일");
    }

    proptest! {
        #[test]
        fn midnight_in_seoul_is_the_first_instant_of_that_date(days in 0u32..40_000) {
            let day = days_after(date(1990, 1, 1), days).unwrap();
            let at = seoul_midnight(day);
            prop_assert_eq!(seoul_date(at), day);
            prop_assert_eq!(seoul_date(at - chrono::TimeDelta::nanoseconds(1)), day.pred_opt().unwrap());
        }
    }
}
