//! The only reader of time. With test keys it can be a clock that all processes share and an operator moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// The test clock ends with this year: beyond it dates no longer have four digits.
pub const LAST_YEAR: i32 = 9999;

/// `CLOCK`: `system`, or `test` for one that `billing clock` moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ClockKind {
    System,
    Test,
}

/// Tells the time, in UTC. Cheap to clone; clones of a test clock or of a standing one move together.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    Test(TestClock),
    Standing(StandingClock),
}

/// Runs with the machine's clock, ahead of it by an offset that is kept in the database.
#[derive(Debug, Clone, Default)]
pub struct TestClock {
    offset_ms: Arc<AtomicI64>,
    moves: Arc<AtomicI64>,
}

/// Stands still until it is set: for a simulation, whose history must not depend on how fast a machine is.
#[derive(Debug, Clone, Default)]
pub struct StandingClock {
    /// Microseconds since 1970.
    at: Arc<AtomicI64>,
}

impl Clock {
    /// As the configuration wants it, not moved yet.
    pub fn of(kind: ClockKind) -> Self {
        match kind {
            ClockKind::System => Self::System,
            ClockKind::Test => Self::Test(TestClock::default()),
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => machine_time(),
            Self::Standing(standing) => standing.now(),
            Self::Test(test) => {
                machine_time() + TimeDelta::milliseconds(test.offset_ms.load(Ordering::Acquire))
            }
        }
    }
}

impl TestClock {
    /// Follows a move that was read from the database. Answers whether it was news.
    pub fn follow(&self, offset_ms: i64, moves: i64) -> bool {
        self.offset_ms.store(offset_ms, Ordering::Release);
        self.moves.swap(moves, Ordering::AcqRel) != moves
    }
}

impl StandingClock {
    pub fn set(&self, at: DateTime<Utc>) {
        self.at.store(at.timestamp_micros(), Ordering::Release);
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.at.load(Ordering::Acquire)).unwrap_or_default()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the machine's time is read")]
pub(crate) fn machine_time() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_test_clock_move_together_and_run_on() {
        let clock = TestClock::default();
        let (a, b) = (Clock::Test(clock.clone()), Clock::Test(clock.clone()));
        assert!(clock.follow(TimeDelta::days(31).num_milliseconds(), 1));
        assert!(!clock.follow(TimeDelta::days(31).num_milliseconds(), 1));
        assert!(a.now() - machine_time() > TimeDelta::days(30));
        assert!((a.now() - b.now()).abs() < TimeDelta::minutes(1));
    }
    #[test]
    fn a_standing_clock_tells_what_it_was_set_to() {
        let standing = StandingClock::default();
        let clock = Clock::Standing(standing.clone());
        assert_eq!(clock.now(), DateTime::<Utc>::UNIX_EPOCH);
        let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::microseconds(1_700_000_000_000_001);
        standing.set(at);
        assert_eq!(clock.now(), at);
    }
}
