//! Instants as other systems write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use common::domain::calendar::{seoul_instant, seoul_midnight};

/// What a time without a zone means. PostgreSQL's `timestamp` has none.
///
/// UTC is the safe guess: where the times are really Seoul's, it makes a date late, never early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NaiveTimes {
    Utc,
    Seoul,
}

const ZONED: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
const NAIVE: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// `2026-12-22` (a date in Seoul), `2026-12-22 00:00:00`, `2026-12-21T15:00:00.000Z`, `2026-12-22 00:00:00+09`.
pub(crate) fn parse_instant(text: &str, naive: NaiveTimes) -> Option<DateTime<Utc>> {
    // `%Y` alone would take the year 20266.
    text.as_bytes().get(4).filter(|byte| **byte == b'-')?;
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(seoul_midnight(date));
    }
    let zoned = ZONED.iter().find_map(|form| DateTime::parse_from_str(text, form).ok());
    if let Some(at) = zoned {
        return Some(at.to_utc());
    }
    let at = NAIVE.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(match naive {
        NaiveTimes::Utc => at.and_utc(),
        NaiveTimes::Seoul => seoul_instant(at.date(), at.time()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seouls_and_times_say_their_zone_or_are_told_it() {
        let read = |text| parse_instant(text, NaiveTimes::Utc).map(|at| at.to_rfc3339());
        let midnight = Some("2026-12-21T15:00:00+00:00".to_owned());
        for text in [
            "2026-12-22",
            "2026-12-21T15:00:00Z",
            "2026-12-21T15:00:00.000Z",
            "2026-12-22T00:00:00+09:00",
            "2026-12-22 00:00:00+09",
            "2026-12-21 15:00:00",
            "2026-12-21 15:00",
        ] {
            assert_eq!(read(text), midnight, "{text}");
        }
        let seoul = parse_instant("2026-12-22 00:00:00.5", NaiveTimes::Seoul).unwrap();
        assert_eq!(seoul.to_rfc3339(), "2026-12-21T15:00:00.500+00:00");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for text in ["", "12/22/2026", "2026. 12. 22", "20266-12-22", "2026-13-01", "2026-02-30", "tomorrow"]
        {
            assert_eq!(parse_instant(text, NaiveTimes::Utc), None, "{text}");
        }
    }
}
