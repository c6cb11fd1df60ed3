//! Telling the merchant's application of an event: what its answer means, and when it is told again.

use chrono::{DateTime, TimeDelta, Utc};

/// An event that was not taken by then is given up, and the next of its subscription goes.
pub const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(3);

/// The pauses after the first, second, … try, in seconds, as Standard Webhooks suggests them: 5 s, 5 min, 30 min, 2 h,
/// 5 h, 10 h, 14 h, 20 h. The last try is three days after the first.
const PAUSES: [i64; 8] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000];

/// What an HTTP status says about an event that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// 410: the endpoint wants no more events, this one included.
    Gone,
    /// Anything else, redirects included: they are not followed.
    Refused,
}

pub fn answer(status: u16) -> Answer {
    match status {
        200..=299 => Answer::Taken,
        410 => Answer::Gone,
        _ => Answer::Refused,
    }
}

/// When an event is sent again that has been tried `tries` times, the first time at `first`. None: it is given up.
pub fn next_try(tries: usize, first: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let last = first + GIVE_UP_AFTER;
    if now >= last {
        return None;
    }
    let pause = tries.checked_sub(1).and_then(|place| PAUSES.get(place));
    Some(pause.map_or(last, |seconds| (now + TimeDelta::seconds(*seconds)).min(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_ten_times_over_three_days_and_then_given_up() {
        let first = DateTime::UNIX_EPOCH;
        let (mut now, mut tries) = (first, 1);
        while let Some(at) = next_try(tries, first, now) {
            assert!(at > now);
            (now, tries) = (at, tries + 1);
        }
        assert_eq!((tries, now - first), (10, GIVE_UP_AFTER));
    }

    #[test]
    fn a_worker_that_was_away_tries_once_more_and_gives_up() {
        let first = DateTime::UNIX_EPOCH;
        assert_eq!(next_try(2, first, first + TimeDelta::days(4)), None);
    }

    #[test]
    fn only_2xx_is_taken_and_only_410_ends_it() {
        assert_eq!([200, 204, 299].map(answer), [Answer::Taken; 3]);
        assert_eq!(answer(410), Answer::Gone);
        assert_eq!([199, 301, 302, 400, 404, 429, 500, 503].map(answer), [Answer::Refused; 8]);
    }
}
