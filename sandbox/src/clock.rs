//! The virtual clock: the machine's time plus an offset that scripting may change.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};

const KST_EAST_OF_UTC: TimeDelta = TimeDelta::seconds(9 * 3600);

/// Starts at the given instant, or at the machine's time, and runs on unless it is stopped.
#[derive(Debug)]
pub(crate) struct Clock {
    offset: TimeDelta,
    stands_at: Option<DateTime<Utc>>,
}

impl Clock {
    pub(crate) fn starting_at(start: Option<DateTime<Utc>>) -> Self {
        let offset = start.map_or_else(TimeDelta::zero, |at| at - machine_now());
        Self { offset, stands_at: None }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        let runs = || machine_now().checked_add_signed(self.offset).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.stands_at.unwrap_or_else(runs)
    }

    /// From now on it stands still, here.
    pub(crate) fn stop(&mut self, at: DateTime<Utc>) {
        self.stands_at = Some(at);
    }

    pub(crate) fn set(&mut self, at: DateTime<Utc>) {
        self.offset = at - machine_now();
        self.stands_at = None;
    }

    /// False, and nothing changed, when the result would lie beyond the year 9999.
    pub(crate) fn advance(&mut self, by: TimeDelta) -> bool {
        match self.now().checked_add_signed(by) {
            Some(at) if (1..=9999).contains(&at.year()) => {
                self.set(at);
                true
            }
            _ => false,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox reads the machine's time")]
fn machine_now() -> DateTime<Utc> {
    Utc::now()
}

/// Korean time, which has had no summer time since 1988.
pub(crate) fn in_kst(at: DateTime<Utc>) -> NaiveDateTime {
    at.naive_utc() + KST_EAST_OF_UTC
}

/// `2024-09-05T12:19:21+09:00`, as in payments.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    in_kst(at).format("%Y-%m-%dT%H:%M:%S+09:00").to_string()
}

/// `2024-09-05T12:19:21.123456` in Korean time without an offset, as in a webhook's `createdAt`.
pub(crate) fn event_stamp(at: DateTime<Utc>) -> String {
    in_kst(at).format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

pub(crate) fn korean_day(at: DateTime<Utc>) -> NaiveDate {
    in_kst(at).date()
}
