//! `billing clock`: moves the test clock that all processes share, forward only, and waits until all have followed.

use std::{fmt, time::Duration};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use clap::Subcommand;
use common::{
    clock::{Clock, ClockKind, TestClock},
    store::{
        processes,
        settings::{self, ClockMove},
    },
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::{OpsError, arguments, session::Session, text::seoul};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The time of the system
    #[command(after_help = "Example:\n  billing clock now")]
    Now,
    /// Move it forward; returns when every process has followed
    #[command(after_help = "Examples:\n  billing clock advance 31d\n  billing clock advance 1d12h30m")]
    Advance {
        /// Days, hours, minutes: 31d, 2h, 15m or together
        #[arg(value_parser = arguments::span)]
        span: TimeDelta,
    },
    /// Move it forward to an instant, from where it runs on
    #[command(after_help = "Example:\n  billing clock set 2027-01-31T09:00:00+09:00")]
    Set {
        /// RFC 3339
        #[arg(value_parser = arguments::instant)]
        to: DateTime<Utc>,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let mut conn = session.connect().await?;
        let stand = match self {
            Self::Now => now(&mut conn).await?,
            Self::Advance { span } => {
                session.refuse_live_keys()?;
                advance(&mut conn, span).await?
            }
            Self::Set { to } => {
                session.refuse_live_keys()?;
                set(&mut conn, to).await?
            }
        };
        session.print(&stand)
    }
}

/// The time of the system: the machine's, moved by the test clock where the database has one.
pub async fn system_now(conn: &mut PgConnection) -> Result<DateTime<Utc>, OpsError> {
    Ok(at(settings::clock(conn).await?))
}

fn at(stand: ClockMove) -> DateTime<Utc> {
    let clock = TestClock::default();
    clock.follow(stand.offset_ms, stand.moves);
    Clock::Test(clock).now()
}

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
