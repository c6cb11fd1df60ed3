//! How a kind of job is run: how many at once, how long, how soon again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// When to try again after our own machinery broke: exponential with full jitter, capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first try.
    pub base: Duration,
    /// The longest wait after any try.
    pub cap: Duration,
}

impl Backoff {
    /// When try `attempt` (from 1), which broke at `now`, is tried again. `jitter` is a random number in `[0, 1)`.
    pub fn next(self, attempt: i32, now: DateTime<Utc>, jitter: f64) -> DateTime<Utc> {
        let doublings = attempt.saturating_sub(1).clamp(0, 62);
        let longest = (self.base.as_secs_f64() * 2_f64.powi(doublings)).min(self.cap.as_secs_f64());
        let wait = Duration::try_from_secs_f64(longest * jitter.clamp(0.0, 1.0)).unwrap_or(self.cap);
        TimeDelta::from_std(wait)
            .ok()
            .and_then(|wait| now.checked_add_signed(wait))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl Default for Backoff {
    /// Up to 5 s after the first try, up to an hour at last.
    fn default() -> Self {
        Self { base: Duration::from_secs(5), cap: Duration::from_hours(1) }
    }
}

/// What happens to a handler that is still at work when the limit of a graceful stop is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// It is left alone and keeps its lease; if the process ends, the job is rescued when the lease runs out.
    /// For anything that must not be cut off, such as moving money.
    KeepLease,
    /// It is dropped at its next await and the job is given back at once.
    HandBack,
}

/// How many jobs of a kind a process may claim, beside its free slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClaimLimit {
    /// As many as there are free slots.
    #[default]
    All,
    /// One at a time: to try whether what the kind needs works again.
    One,
    /// None: what the kind needs does not work, and each job would only be put off.
    Nothing,
}

/// How one kind of job is run by one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindConfig {
    /// The kind.
    pub kind: &'static str,
    /// How many at once in this process, at least 1.
    pub concurrency: usize,
    /// After how long a handler is dropped and its try settled as broken. For kinds that move money far longer than
    /// any call: it is what the death of the process would be.
    pub timeout: Option<Duration>,
    /// When to try again after our own machinery broke.
    pub backoff: Backoff,
    /// At the limit of a graceful stop.
    pub on_stop: OnStop,
}

impl KindConfig {
    /// Ten at once, no timeout, the default backoff, never cut off.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, concurrency: 10, timeout: None, backoff: Backoff::default(), on_stop: OnStop::KeepLease }
    }

    /// How many at once in this process.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// See [`KindConfig::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// See [`KindConfig::backoff`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// See [`KindConfig::on_stop`].
    #[must_use]
    pub fn on_stop(mut self, on_stop: OnStop) -> Self {
        self.on_stop = on_stop;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(10), cap: Duration::from_mins(1) };

    fn waits(attempt: i32, jitter: f64) -> i64 {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        (BACKOFF.next(attempt, now, jitter) - now).num_seconds()
    }

    #[test]
    fn the_wait_doubles_with_each_try_up_to_the_cap() {
        assert_eq!([1, 2, 3, 4, 5].map(|attempt| waits(attempt, 1.0)), [10, 20, 40, 60, 60]);
    }

    #[test]
    fn jitter_takes_any_part_of_the_wait() {
        assert_eq!(waits(2, 0.0), 0);
        assert_eq!(waits(2, 0.5), 10);
    }

    #[test]
    fn the_strangest_numbers_do_not_overflow() {
        assert_eq!(waits(i32::MAX, 1.0), 60);
        assert_eq!(waits(i32::MIN, 7.0), 10);
        let far = Backoff { base: Duration::MAX, cap: Duration::MAX };
        assert_eq!(far.next(9, DateTime::<Utc>::UNIX_EPOCH, 1.0), DateTime::<Utc>::MAX_UTC);
    }
}
