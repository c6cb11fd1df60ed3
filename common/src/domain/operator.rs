//! Operators: what each role may do, and when a login is refused because too many failed before.

use chrono::{DateTime, TimeDelta, Utc};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

/// What an operator may do. A higher role may do everything that a lower one may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display, EnumString, IntoStaticStr, serde::Serialize,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Acts on jobs, payments, subscriptions and e-mails.
    Operator,
    /// Also turns the switches and manages operators.
    Admin,
}

/// An operator who may do something now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
}

/// Whose failed logins are counted. An address is shared by colleagues, so it is allowed more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginSubject {
    Account,
    Address,
}

/// The failed logins of one account or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginFailures {
    pub failures: i32,
    pub last_failed_at: DateTime<Utc>,
    pub locked_until: Option<DateTime<Utc>>,
}

const FIRST_LOCK: TimeDelta = TimeDelta::seconds(30);
/// Somebody who guesses on purpose must not be able to keep an operator out for hours.
const MAX_LOCK: TimeDelta = TimeDelta::minutes(15);
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::hours(24);

impl LoginSubject {
    /// How many failures are free; each further one locks for twice as long as the one before.
    fn free_failures(self) -> i32 {
        match self {
            Self::Account => 4,
            Self::Address => 19,
        }
    }
}

impl LoginFailures {
    /// Until when a login is refused without looking at its password.
    pub fn locked_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.locked_until.filter(|until| *until > now)
    }

    /// With one more failure.
    #[must_use]
    pub fn after_failure(&self, subject: LoginSubject, now: DateTime<Utc>) -> Self {
        let is_forgotten = now - self.last_failed_at >= FORGOTTEN_AFTER;
        let failures = if is_forgotten { 1 } else { self.failures.saturating_add(1) };
        let doublings = failures.saturating_sub(subject.free_failures()).saturating_sub(1);
        let locked_until = u32::try_from(doublings).ok().map(|doublings| {
            let factor = 2_i32.saturating_pow(doublings.min(10));
            now + (FIRST_LOCK * factor).min(MAX_LOCK)
        });
        Self { failures, last_failed_at: now, locked_until }
    }
}

/// A password's least length, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Far above any password manager's; hashing a megabyte would be work for nothing.
pub const MAX_PASSWORD_CHARS: usize = 256;

/// Whether a new password is long enough and no longer than can be hashed in good time.
pub fn is_password(text: &str) -> bool {
    (MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(times: u32, subject: LoginSubject) -> LoginFailures {
        let now = DateTime::UNIX_EPOCH;
        let none = LoginFailures { failures: 0, last_failed_at: now, locked_until: None };
        (0..times).fold(none, |failures, _| failures.after_failure(subject, now))
    }

    fn locked_secs(times: u32, subject: LoginSubject) -> Option<i64> {
        failed(times, subject).locked_until.map(|until| until.timestamp())
    }

    #[test]
    fn the_fifth_failure_locks_and_each_later_one_doubles() {
        let locked = [4, 5, 6, 7, 8, 9, 10, 1_000].map(|times| locked_secs(times, LoginSubject::Account));
        let expected = [None, Some(30), Some(60), Some(120), Some(240), Some(480), Some(900), Some(900)];
        assert_eq!(locked, expected);
        assert_eq!(locked_secs(19, LoginSubject::Address), None);
        assert_eq!(locked_secs(20, LoginSubject::Address), Some(30));
    }

    #[test]
    fn failures_are_forgotten_after_a_day() {
        let later = DateTime::UNIX_EPOCH + FORGOTTEN_AFTER;
        let again = failed(10, LoginSubject::Account).after_failure(LoginSubject::Account, later);
        assert_eq!((again.failures, again.locked_until), (1, None));
    }

    #[test]
    fn a_higher_role_may_do_what_a_lower_one_may() {
        assert!(Role::Admin > Role::Operator && Role::Operator > Role::Viewer);
    }

    #[test]
    fn a_password_has_at_least_twelve_characters_of_any_script() {
        assert!(!is_password("elevenchars") && is_password("twelve chars") && is_password(&"가".repeat(12)));
        assert!(!is_password(&"a".repeat(257)));
    }
}
