//! The time of the system: the machine's, moved by the test clock where the database has one.

use chrono::{DateTime, Utc};
use common::clock::{Clock, TestClock};
use common::store::settings;
use common::store::settings::DatabaseClock;
use sqlx::PgConnection;

use crate::OpsError;

/// The time of the system now.
pub async fn system_now(conn: &mut PgConnection) -> Result<DateTime<Utc>, OpsError> {
    Ok(now_by(settings::clock(conn).await?))
}

/// The machine's time, moved as the database's clock says.
pub(crate) fn now_by(stand: DatabaseClock) -> DateTime<Utc> {
    let clock = TestClock::default();
    clock.follow(stand.offset_ms, stand.moves);
    Clock::Test(clock).now()
}
