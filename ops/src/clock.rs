//! `billing clock`: moves the test clock that all processes share, forward only. It returns when all have followed.

use std::{fmt, time::Duration};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use clap::Subcommand;
use common::clock::{ClockKind, LAST_YEAR};
use common::domain::action::TargetKind;
use common::store::settings;
use common::store::settings::DatabaseClock;
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::action::{Author, ReasonOption};
use crate::session::Session;
use crate::system_time::now_by;
use crate::text::seoul;
use crate::{OpsError, arguments};

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
        #[command(flatten)]
        reason: ReasonOption,
    },
    /// Move it forward to an instant, from where it runs on
    #[command(after_help = "Example:\n  billing clock set 2027-01-31T09:00:00+09:00")]
    Set {
        /// RFC 3339
        #[arg(value_parser = arguments::instant)]
        to: DateTime<Utc>,
        #[command(flatten)]
        reason: ReasonOption,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, at) = session.connect_now().await?;
        let author = |reason: ReasonOption| {
            session.refuse_live_keys()?;
            session.author(reason.reason.as_deref(), "moved at the command line", at)
        };
        let stand = match self {
            Self::Now => now(&mut conn).await?,
            Self::Advance { span, reason } => advance(&mut conn, span, &author(reason)?).await?,
            Self::Set { to, reason } => set(&mut conn, to, &author(reason)?).await?,
        };
        session.print(&stand)
    }
}

/// Every process looks at the clock several times in this span, so by its end all have followed.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);

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
}

/// Where the clock stands.
pub async fn now(conn: &mut PgConnection) -> Result<ClockStand, OpsError> {
    Ok(describe(settings::clock(conn).await?))
}

/// Moves the clock forward by `by` and returns when every process has followed.
///
/// Not inside a transaction: nobody would see the move.
pub async fn advance(
    conn: &mut PgConnection,
    by: TimeDelta,
    author: &Author,
) -> Result<ClockStand, OpsError> {
    move_to(conn, |from| from.checked_add_signed(by), author).await
}

/// Moves the clock forward to `to`, from where it runs on, and returns when every process has followed.
///
/// Not inside a transaction: nobody would see the move.
pub async fn set(
    conn: &mut PgConnection,
    to: DateTime<Utc>,
    author: &Author,
) -> Result<ClockStand, OpsError> {
    move_to(conn, |_| Some(to), author).await
}

async fn move_to(
    conn: &mut PgConnection,
    to: impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>,
    author: &Author,
) -> Result<ClockStand, OpsError> {
    let mut tx = conn.begin().await?;
    let before = settings::join_clock(&mut tx, ClockKind::Test).await?;
    if before.kind == ClockKind::System {
        let line = "this database began on the system's clock (CLOCK=system), which cannot be moved";
        return Err(OpsError::Refused(line.to_owned()));
    }
    let from = now_by(before);
    let to = check(from, to(from))?;
    let moved = settings::move_clock(&mut tx, (to - from).num_milliseconds()).await?;
    let (before, after) = (json!({ "now": from }), json!({ "now": to }));
    author.record(&mut tx, "clock.advance", (TargetKind::Switch, "test_clock"), (&before, &after)).await?;
    tx.commit().await?;
    tokio::time::sleep(FOLLOWED_WITHIN).await;
    Ok(describe(moved))
}

fn check(from: DateTime<Utc>, to: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, OpsError> {
    match to {
        Some(to) if to.year() <= LAST_YEAR && to > from => Ok(to),
        Some(to) if to <= from => Err(OpsError::Refused(format!(
            "the clock moves forward only: it is {} in Seoul, and {} has passed",
            seoul(from),
            seoul(to)
        ))),
        Some(_) | None => Err(OpsError::Usage(format!("the clock ends with the year {LAST_YEAR}"))),
    }
}

fn describe(clock: DatabaseClock) -> ClockStand {
    let now = now_by(clock);
    ClockStand { now, seoul: seoul(now), offset_ms: clock.offset_ms, moves: clock.moves }
}

impl fmt::Display for ClockStand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = TimeDelta::milliseconds(self.offset_ms);
        let (days, hours, minutes) = (ahead.num_days(), ahead.num_hours() % 24, ahead.num_minutes() % 60);
        writeln!(f, "{} in Seoul", self.seoul)?;
        writeln!(f, "{days} d {hours} h {minutes} min ahead of the machine, after {} moves", self.moves)
    }
}
