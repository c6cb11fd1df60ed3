//! Readers of command-line arguments that several commands take.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::money::Won;
use common::id::{parse_event_ref, parse_subscription_ref};
use common::queue::JobState;
use uuid::Uuid;

/// Reads `sub_<uuid without dashes>` or a plain UUID.
pub fn subscription_id(text: &str) -> Result<Uuid, String> {
    parse_subscription_ref(text).ok_or_else(|| "write sub_ and 32 hexadecimal digits, or a UUID".to_owned())
}

/// Reads `evt_<uuid without dashes>` or a plain UUID.
pub fn event_id(text: &str) -> Result<Uuid, String> {
    parse_event_ref(text).ok_or_else(|| "write evt_ and 32 hexadecimal digits, or a UUID".to_owned())
}

/// Reads an instant of RFC 3339.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    read.map_err(|_| "write RFC 3339 with an offset, e.g. 2027-01-31T09:00:00+09:00".to_owned())
}

/// Reads `31d`, `2h`, `15m` or several together, such as `1d12h30m`.
pub fn span(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("{text:?} is no span of time: write 31d, 2h, 15m, or together as 1d12h30m");
    let read = humantime::parse_duration(text.trim()).map_err(|_| wrong())?;
    let span = TimeDelta::from_std(read).map_err(|_| wrong())?;
    if span.is_zero() { Err(wrong()) } else { Ok(span) }
}

/// Reads whole won.
pub fn won(text: &str) -> Result<Won, String> {
    let whole: i64 = text.parse().map_err(|_| "write whole won, digits only".to_owned())?;
    Won::new(whole).map_err(|error| error.to_string())
}

/// Reads the state of a job.
pub fn job_state(text: &str) -> Result<JobState, String> {
    let states = "available, running, done, failed, discarded, parked";
    JobState::parse(text).ok_or_else(|| format!("one of {states}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_days_hours_and_minutes() {
        assert_eq!(span("31d"), Ok(TimeDelta::days(31)));
        assert_eq!(span("2h"), Ok(TimeDelta::hours(2)));
        assert_eq!(span("15m"), Ok(TimeDelta::minutes(15)));
        assert_eq!(span("1d12h30m"), Ok(TimeDelta::minutes(36 * 60 + 30)));
    }

    #[test]
    fn what_is_no_span_forward_is_refused() {
        for text in ["", "0d", "-1d", "31", "d", "1d2", "한d", "99999999999999d", "99999999999999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
