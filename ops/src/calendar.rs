//! `billing calendar`: what was collected on each day of a month, and what is to be.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::commands::calendar::{CalendarDay, Month, month_of};
use common::domain::calendar::seoul_date;
use serde::Serialize;
use sqlx::PgConnection;

use crate::OpsError;
use crate::session::Session;
use crate::text::{Table, won};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  billing calendar\n  billing calendar --month 2027-01 --json")]
pub struct Command {
    /// Default: this month in Seoul
    #[arg(long, value_name = "YYYY-MM", value_parser = first_day)]
    month: Option<NaiveDate>,
}

fn first_day(text: &str) -> Result<NaiveDate, String> {
    format!("{text}-01").parse().map_err(|_| "write the month as 2027-01".to_owned())
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut conn, now) = session.connect_now().await?;
        session.print(&calendar(&mut conn, self.month, now).await?)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Calendar(pub Month);

/// The month of `day` (civil date in Seoul; default: today).
pub async fn calendar(
    conn: &mut PgConnection,
    day: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<Calendar, OpsError> {
    let today = seoul_date(now);
    Ok(Calendar(month_of(conn, day.unwrap_or(today), today).await?))
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["DAY", "EXPECTED", "CHARGED", "FAILED", "REFUNDED"]);
        let cell = |(count, amount): (i64, i64)| {
            if count == 0 { "-".to_owned() } else { format!("{count}: {}", won(amount)) }
        };
        for day in &self.0.days {
            let CalendarDay { date, expected, charged, failed, refunded } = day;
            table.row([
                date.to_string(),
                cell((expected.count, expected.amount)),
                cell((charged.count, charged.amount)),
                cell((failed.count, failed.amount)),
                cell((refunded.count, refunded.amount)),
            ]);
        }
        write!(f, "{table}")
    }
}
