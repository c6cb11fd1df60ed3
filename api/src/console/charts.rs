//! The charts of the last 90 days: what was collected, how many charges succeeded, and why others were declined.

use std::collections::HashMap;

use chrono::{Days, NaiveDate};
use common::domain::calendar::seoul_midnight;
use common::store::console::charts;
use common::store::console::charts::DayFigures;
use sqlx::PgConnection;

use super::{failure::ConsoleError, format};

const DAYS: u64 = 90;
const CODES: i64 = 8;
/// Of the drawing, in its own units.
const HEIGHT: i64 = 100;
const STEP: i64 = 10;

/// What the charts show, with the numbers beside them.
pub(crate) struct Charts {
    pub(super) bars: Vec<Bar>,
    pub(super) rate_points: String,
    pub(super) days: Vec<Day>,
    pub(super) codes: Vec<DeclineBar>,
    pub(super) collected: String,
    pub(super) rate: String,
}

pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) height: i64,
    pub(super) title: String,
}

pub(super) struct Day {
    pub(super) date: NaiveDate,
    pub(super) collected: String,
    pub(super) captured: i64,
    pub(super) declined: i64,
    pub(super) rate: String,
}

pub(super) struct DeclineBar {
    pub(super) code: String,
    pub(super) count: String,
    pub(super) width: i64,
}

/// Reads the payments of the 90 days up to `today` and draws their charts.
pub(super) async fn read(conn: &mut PgConnection, today: NaiveDate) -> Result<Charts, ConsoleError> {
    let first = today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today);
    let since = seoul_midnight(first);
    let days = charts::days(conn, since).await?;
    let codes = charts::decline_codes(conn, since, CODES).await?;
    Ok(draw(first, &days, codes))
}

fn draw(first: NaiveDate, figures: &[DayFigures], codes: Vec<(String, i64)>) -> Charts {
    let by_date: HashMap<NaiveDate, &DayFigures> = figures.iter().map(|day| (day.date, day)).collect();
    let nothing = |date| DayFigures { date, collected: 0, captured: 0, declined: 0 };
    let dates = first.iter_days().take(usize::try_from(DAYS).unwrap_or_default());
    let days: Vec<DayFigures> =
        dates.map(|date| by_date.get(&date).map_or_else(|| nothing(date), |day| **day)).collect();
    let most = days.iter().map(|day| day.collected).max().unwrap_or_default().max(1);
    let bars = (0..).zip(&days).map(|(index, day)| {
        let height = share(day.collected, most, HEIGHT);
        let title = format!("{} {}", day.date, format::won(day.collected));
        Bar { x: index * STEP, y: HEIGHT - height, height, title }
    });
    let points = (0..).zip(&days).filter(|(_, day)| day.captured + day.declined > 0).map(|(index, day)| {
        let y = HEIGHT - share(day.captured, day.captured + day.declined, HEIGHT);
        format!("{},{y}", index * STEP + STEP / 2)
    });
    let sum = |of: fn(&DayFigures) -> i64| days.iter().map(of).fold(0_i64, i64::saturating_add);
    let most_of_a_code = codes.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    Charts {
        bars: bars.collect(),
        rate_points: points.collect::<Vec<_>>().join(" "),
        collected: format::won(sum(|day| day.collected)),
        rate: rate(sum(|day| day.captured), sum(|day| day.declined)),
        days: days.iter().rev().filter(|day| day.captured + day.declined > 0).map(numbers).collect(),
        codes: codes
            .into_iter()
            .map(|(code, count)| DeclineBar {
                code,
                count: format::count(count),
                width: share(count, most_of_a_code, HEIGHT).max(1),
            })
            .collect(),
    }
}

fn numbers(day: &DayFigures) -> Day {
    Day {
        date: day.date,
        collected: format::won(day.collected),
        captured: day.captured,
        declined: day.declined,
        rate: rate(day.captured, day.declined),
    }
}

/// The share of `part` in `whole`, of `scale` units.
fn share(part: i64, whole: i64, scale: i64) -> i64 {
    part.saturating_mul(scale).checked_div(whole).unwrap_or_default().clamp(0, scale)
}

/// `98.5 %` of the charges that the bank answered.
fn rate(captured: i64, declined: i64) -> String {
    let tenths = share(captured, captured.saturating_add(declined), 1_000);
    if captured + declined == 0 { "–".to_owned() } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_without_payments_are_drawn_empty_and_listed_nowhere() {
        let first: NaiveDate = "2026-09-01".parse().unwrap();
        let second = first.succ_opt().unwrap();
        let figures = [DayFigures { date: second, collected: 9_900, captured: 1, declined: 3 }];
        let charts = draw(first, &figures, vec![("REJECT_CARD_PAYMENT".to_owned(), 3)]);
        assert_eq!(charts.bars.len(), 90);
        assert_eq!((charts.bars[0].height, charts.bars[1].height, charts.bars[1].y), (0, 100, 0));
        assert_eq!((charts.days.len(), charts.rate.as_str()), (1, "25.0 %"));
        assert_eq!(charts.rate_points, "15,75");
        assert_eq!(charts.codes[0].width, 100);
    }
}
