//! A month as the calendar shows it: what was charged, failed and refunded on each day, and what is expected. Writes
//! nothing. [`super::dry_run`] tells a day's renewals one by one.

use chrono::{Datelike, Months, NaiveDate};
use serde::Serialize;
use sqlx::PgConnection;

use super::dry_run::DryRunError;
use crate::domain::calendar::{OutOfCalendar, seoul_midnight};
use crate::store::calendar;
use crate::store::calendar::DaySum;

/// How many, and how many won.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub count: i64,
    /// Won.
    pub amount: i64,
}

/// One civil day in Seoul.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CalendarDay {
    pub date: NaiveDate,
    /// Renewals and retries that are still to come, as things stand. Zero for days that are over.
    pub expected: Sum,
    pub charged: Sum,
    /// Declined.
    pub failed: Sum,
    pub refunded: Sum,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Month {
    pub first: NaiveDate,
    pub days: Vec<CalendarDay>,
}

/// The month in which `day` lies.
pub async fn month_of(
    conn: &mut PgConnection,
    day: NaiveDate,
    today: NaiveDate,
) -> Result<Month, DryRunError> {
    let first = day.with_day(1).ok_or(OutOfCalendar)?;
    let next = first.checked_add_months(Months::new(1)).ok_or(OutOfCalendar)?;
    let (from, until) = (seoul_midnight(first), seoul_midnight(next));
    let expected =
        if next > today { calendar::expected(conn, first, next, today).await? } else { Vec::new() };
    let charged = calendar::charged(conn, from, until).await?;
    let failed = calendar::failed(conn, from, until).await?;
    let refunded = calendar::refunded(conn, from, until).await?;
    let days = first.iter_days().take_while(|date| *date < next);
    let days = days.map(|date| CalendarDay {
        date,
        expected: on(&expected, date),
        charged: on(&charged, date),
        failed: on(&failed, date),
        refunded: on(&refunded, date),
    });
    Ok(Month { first, days: days.collect() })
}

fn on(days: &[DaySum], date: NaiveDate) -> Sum {
    let day = days.iter().find(|day| day.date == date);
    day.map_or_else(Sum::default, |day| Sum { count: day.count, amount: day.amount })
}
