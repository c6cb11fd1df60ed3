//! What follows when an e-mail could not be sent: it fails, or it is tried again later.

use chrono::{DateTime, TimeDelta, Utc};

/// Greylisting and restarts take seconds to minutes.
const MIN_PAUSE: TimeDelta = TimeDelta::seconds(15);
const MAX_PAUSE: TimeDelta = TimeDelta::minutes(30);
/// A mail server that is down for longer needs a person.
const ALARM_AFTER: TimeDelta = TimeDelta::hours(1);
/// As long as mail servers themselves try (RFC 5321, section 4.5.4.1: four to five days).
pub const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(5);

/// What the mail server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// This recipient or this message is refused for good.
    Refused,
    /// This recipient or this message is put off.
    Postponed,
    /// Nothing was said about this e-mail.
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    At {
        at: DateTime<Utc>,
        /// The e-mail has waited for so long that an operator should know.
        raises_alarm: bool,
    },
    /// The server's word is final.
    Never,
    /// The server put it off for days.
    GivenUp,
}

/// A server that cannot be used says nothing about the e-mail, so the e-mail waits for as long as that takes.
pub fn next_try(failure: SendFailure, created_at: DateTime<Utc>, now: DateTime<Utc>) -> NextTry {
    let waited = now - created_at;
    match failure {
        SendFailure::Refused => NextTry::Never,
        SendFailure::Postponed if waited >= GIVE_UP_AFTER => NextTry::GivenUp,
        SendFailure::Postponed | SendFailure::Unavailable => NextTry::At {
            at: now + (waited / 2).clamp(MIN_PAUSE, MAX_PAUSE),
            raises_alarm: waited >= ALARM_AFTER,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failure: SendFailure, waited: TimeDelta) -> NextTry {
        let created_at = DateTime::UNIX_EPOCH;
        next_try(failure, created_at, created_at + waited)
    }

    fn pause(failure: SendFailure, waited: TimeDelta) -> (TimeDelta, bool) {
        match after(failure, waited) {
            NextTry::At { at, raises_alarm } => (at - (DateTime::UNIX_EPOCH + waited), raises_alarm),
            ended => panic!("{ended:?}"),
        }
    }

    #[test]
    fn only_a_refusal_of_the_email_is_final_at_once() {
        assert_eq!(after(SendFailure::Refused, TimeDelta::zero()), NextTry::Never);
        for failure in [SendFailure::Postponed, SendFailure::Unavailable] {
            assert_eq!(pause(failure, TimeDelta::zero()), (TimeDelta::seconds(15), false));
            assert_eq!(pause(failure, TimeDelta::minutes(10)), (TimeDelta::minutes(5), false));
            assert_eq!(pause(failure, TimeDelta::hours(1)), (TimeDelta::minutes(30), true));
        }
    }

    #[test]
    fn only_a_recipient_that_is_put_off_is_given_up() {
        assert_eq!(after(SendFailure::Postponed, GIVE_UP_AFTER), NextTry::GivenUp);
        assert_eq!(pause(SendFailure::Unavailable, TimeDelta::days(30)), (TimeDelta::minutes(30), true));
    }
}
