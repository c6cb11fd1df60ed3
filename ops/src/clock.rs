//! `billing clock`: moves the test clock that all processes share, forward only, and waits until all have followed.

use std::{fmt, time::Duration};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use common::{
    clock::ClockKind,
    store::{
        processes,
        settings::{self, ClockMove},
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::{
    OpsError,
    moment::{at, seoul},
};

/// Every process looks at the clock far more often than this.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ALL_WITHIN: Duration = Duration::from_secs(10);
/// Beyond it dates no longer have four digits.
const LAST_YEAR: i32 = 9999;

/// Where the test clock stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockStand {
    pub now: DateTime<Utc>,
    /// `now` as Seoul reads it.
    pub seoul: String,
    /// Ahead of the machine's time, in milliseconds.
    pub offset_ms: i64,
    pub moves: i64,
    /// The running processes that follow the test clock.
    pub followed_by: Vec<String>,
}

/// Where the clock stands, and who follows it.
pub async fn now(conn: &mut PgConnection) -> Result<ClockStand, OpsError> {
    let stand = settings::clock(conn).await?;
    describe(conn, stand).await
}

/// Moves the clock forward by `by` and returns when every process has followed.
///
/// Not inside a transaction: nobody would see the move.
pub async fn advance(conn: &mut PgConnection, by: TimeDelta) -> Result<ClockStand, OpsError> {
    let mut tx = conn.begin().await?;
    let from = settings::lock_clock(&mut tx).await?;
    refuse_the_systems(&mut tx).await?;
    check(at(from), at(from).checked_add_signed(by))?;
    let stand = settings::move_clock(&mut tx, by.num_milliseconds()).await?;
    tx.commit().await?;
    all_have_followed(conn, stand).await
}

/// Moves the clock forward to `to`, from where it runs on, and returns when every process has followed.
///
/// Not inside a transaction: nobody would see the move.
pub async fn set(conn: &mut PgConnection, to: DateTime<Utc>) -> Result<ClockStand, OpsError> {
    let mut tx = conn.begin().await?;
    let from = at(settings::lock_clock(&mut tx).await?);
    refuse_the_systems(&mut tx).await?;
    check(from, Some(to))?;
    let stand = settings::move_clock(&mut tx, (to - from).num_milliseconds()).await?;
    tx.commit().await?;
    all_have_followed(conn, stand).await
}

/// A process on the system's clock charges real cards, or may: it would not follow, and every date would be wrong for it.
/// It cannot come in between, as it takes the lock on the clock when it begins.
async fn refuse_the_systems(conn: &mut PgConnection) -> Result<(), OpsError> {
    let there = processes::following(conn, ClockKind::System).await?;
    if there.is_empty() {
        return Ok(());
    }
    let names = there.join(", ");
    Err(OpsError::Refused(format!("the clock stays: {names} runs on the system's clock (CLOCK=system)")))
}

fn check(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Result<(), OpsError> {
    match to {
        Some(to) if to.year() <= LAST_YEAR && to > from => Ok(()),
        Some(to) if to <= from => Err(OpsError::Refused(format!(
            "the clock moves forward only: it is {} in Seoul, and {} has passed",
            seoul(from),
            seoul(to)
        ))),
        Some(_) | None => Err(OpsError::Usage(format!("the clock ends with the year {LAST_YEAR}"))),
    }
}

async fn all_have_followed(conn: &mut PgConnection, stand: ClockMove) -> Result<ClockStand, OpsError> {
    let deadline = Instant::now() + ALL_WITHIN;
    let waited_for = processes::behind(conn, stand.moves).await?;
    while Instant::now() < deadline && !processes::behind(conn, stand.moves).await?.is_empty() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // Also those that have fallen silent: whether they are dead or only stand still cannot be told from here.
    let names = processes::silent(conn, &waited_for, stand.moves).await?;
    if names.is_empty() {
        return describe(conn, stand).await;
    }
    Err(OpsError::Refused(format!("the clock has moved, but not for: {}", names.join(", "))))
}

async fn describe(conn: &mut PgConnection, stand: ClockMove) -> Result<ClockStand, OpsError> {
    let followed_by = processes::following(conn, ClockKind::Test).await?;
    let now = at(stand);
    Ok(ClockStand { now, seoul: seoul(now), offset_ms: stand.offset_ms, moves: stand.moves, followed_by })
}

/// Reads `31d`, `2h`, `15m` or several together, e.g. `1d12h`.
pub fn parse_span(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("{text:?} is no span of time: write 31d, 2h, 15m, or together as 1d12h30m");
    let mut span = TimeDelta::zero();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (count, unit_on) = rest.split_at(unit_at);
        let count: i64 = count.parse().map_err(|_| wrong())?;
        let mut letters = unit_on.chars();
        let part = match letters.next() {
            Some('d') => TimeDelta::try_days(count),
            Some('h') => TimeDelta::try_hours(count),
            Some('m') => TimeDelta::try_minutes(count),
            Some(_) | None => None,
        };
        span = part.and_then(|part| span.checked_add(&part)).ok_or_else(wrong)?;
        rest = letters.as_str().trim_start();
    }
    if span.is_zero() { Err(wrong()) } else { Ok(span) }
}

impl fmt::Display for ClockStand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = TimeDelta::milliseconds(self.offset_ms);
        let (days, hours, minutes) = (ahead.num_days(), ahead.num_hours() % 24, ahead.num_minutes() % 60);
        writeln!(f, "{} in Seoul", self.seoul)?;
        writeln!(f, "{days} d {hours} h {minutes} min ahead of the machine, after {} moves", self.moves)?;
        if self.followed_by.is_empty() {
            writeln!(f, "no running process follows it (CLOCK=test)")
        } else {
            writeln!(f, "followed by {}", self.followed_by.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_days_hours_and_minutes_and_together() {
        let read = |text| parse_span(text).unwrap();
        assert_eq!(read("31d"), TimeDelta::days(31));
        assert_eq!(read("2h"), TimeDelta::hours(2));
        assert_eq!(read("15m"), TimeDelta::minutes(15));
        assert_eq!(read("1d12h30m"), TimeDelta::minutes(36 * 60 + 30));
    }

    #[test]
    fn what_is_no_span_forward_is_refused() {
        for text in
            ["", "0d", "-1d", "31", "d", "5s", "1d2", "한d", "99999999999999d", "99999999999999999999d"]
        {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
