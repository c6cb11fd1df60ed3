//! The system's time for a command that ends at once, and how a person in Seoul reads an instant.

use chrono::{DateTime, Utc};
use common::{
    clock::{Clock, TestClock},
    domain::calendar::{seoul_date, seoul_time},
    store::settings::{self, ClockMove},
};
use sqlx::PgConnection;

use crate::OpsError;

/// What every process takes the time to be: the machine's, moved by the test clock where the database has one.
pub async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>, OpsError> {
    Ok(at(settings::clock(conn).await?))
}

pub(crate) fn at(stand: ClockMove) -> DateTime<Utc> {
    let clock = TestClock::default();
    clock.follow(stand.offset_ms, stand.moves);
    Clock::Test(clock).now()
}

/// `2026-12-22 02:00:04`, in Seoul.
pub fn seoul(at: DateTime<Utc>) -> String {
    format!("{} {}", seoul_date(at), seoul_time(at).format("%H:%M:%S"))
}

pub(crate) fn seoul_or_dash(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), seoul)
}
