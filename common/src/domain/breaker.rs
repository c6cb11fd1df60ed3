//! The circuit breaker before an account of the gateway: after failures in a row, of different subscriptions, nobody asks for
//! a while, then one job probes.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::outcome::Outcome;

/// Technical failures in a row that open the breaker.
pub const FAILURES_TO_OPEN: i32 = 10;
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(30);
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// How long a probe may take before another job may try.
pub const PROBE_TAKES: TimeDelta = TimeDelta::seconds(75);

/// Whose keys a call is made with. Each account has a breaker of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GatewayAccount {
    /// Confirmations, and what belongs to the payments that they made.
    Widget,
    /// Charges and card registrations.
    Billing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Breaker {
    pub failures: i32,
    pub open_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    /// The pause is over: one job may ask, the others wait until it has its answer.
    HalfOpen,
    Open(DateTime<Utc>),
}

impl Breaker {
    pub fn state(self, now: DateTime<Utc>) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open(until),
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// The breaker after one more technical failure. `is_new_subject`: no failure of this subscription was counted before.
    ///
    /// While the breaker is closed, failures of different subscriptions are counted, and the tenth opens it. Once it is open, only the probe's
    /// failure lengthens the pause, doubling it up to ten minutes: calls that were in flight when the breaker opened
    /// fail together and tell nothing new.
    #[must_use]
    pub fn after_failure(self, is_probe: bool, is_new_subject: bool, now: DateTime<Utc>) -> Self {
        let counts = match self.open_until {
            Some(_) => is_probe,
            None => is_new_subject,
        };
        if !counts {
            return self;
        }
        let failures = self.failures.saturating_add(1);
        let beyond = failures.saturating_sub(FAILURES_TO_OPEN);
        let open_until = if beyond < 0 {
            None
        } else {
            let doubled =
                FIRST_PAUSE.checked_mul(1_i32.checked_shl(beyond.clamp(0, 10).unsigned_abs()).unwrap_or(1));
            Some(now + doubled.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE))
        };
        Self { failures, open_until }
    }
}

/// Whether an outcome shows that the gateway works. None: it says nothing about that.
pub fn gateway_works(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Paid(_) | Outcome::Declined(_) | Outcome::Waiting(_) | Outcome::NoSuchOrder => Some(true),
        Outcome::NotSent(why) => why.gateway_works,
        Outcome::Unknown(doubt) if doubt.is_technical => Some(false),
        Outcome::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: i32) -> Breaker {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        (0..failures).fold(Breaker::default(), |breaker, _| breaker.after_failure(false, true, now))
    }

    #[test]
    fn nine_failures_are_bad_luck_and_the_tenth_opens_for_30_s() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(after(9).state(now), BreakerState::Closed);
        let until = now + TimeDelta::seconds(30);
        assert_eq!(after(10).state(now), BreakerState::Open(until));
        assert_eq!(after(10).state(until), BreakerState::HalfOpen);
    }

    #[test]
    fn one_subscription_alone_never_opens_the_breaker() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let again = (0..100).fold(after(1), |breaker, _| breaker.after_failure(false, false, now));
        assert_eq!(again, after(1));
    }

    #[test]
    fn calls_in_flight_that_fail_together_do_not_lengthen_the_pause() {
        for failures in [11, 15, 40] {
            assert_eq!(after(failures), after(10), "{failures}");
        }
    }

    #[test]
    fn every_failed_probe_doubles_the_pause_up_to_ten_minutes() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let pause = |probes| {
            let breaker = (0..probes).fold(after(10), |breaker, _| breaker.after_failure(true, false, now));
            breaker.open_until.unwrap() - now
        };
        assert_eq!(pause(1), TimeDelta::minutes(1));
        assert_eq!(pause(3), TimeDelta::minutes(4));
        assert_eq!(pause(10), TimeDelta::minutes(10));
        assert_eq!(pause(2_000), TimeDelta::minutes(10));
    }
}
