//! The calendar: by month and day what was and will be collected; a day opens the dry run.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::{Datelike, Months, NaiveDate};
use common::commands::calendar::{CalendarDay, Sum};
use common::commands::dry_run::{DryRunError, DryRunLine, DryRunTotals};
use common::commands::{calendar, dry_run};
use common::domain::calendar::seoul_date;
use common::domain::forecast::{Cause, NotCharged};
use common::store::console;
use serde::Deserialize;
use uuid::Uuid;

use super::cell::subscription_path;
use super::failure::{ConsoleError, Failure};
use super::format;
use super::page::{Page, Section, render};
use super::session::Client;
use crate::app::App;

const ROWS: i64 = 100;

#[derive(Template)]
#[template(path = "console/calendar.html")]
struct CalendarPage {
    page: Page,
    heading: String,
    before: String,
    after: String,
    weekdays: [&'static str; 7],
    /// Weeks of seven cells; none outside the month.
    weeks: Vec<Vec<Option<DayCell>>>,
    total: DaySums,
}

struct DayCell {
    date: NaiveDate,
    day: u32,
    is_today: bool,
    sums: DaySums,
}

/// What a day shows, empty where nothing was.
struct DaySums {
    lines: Vec<(&'static str, &'static str, String)>,
}

#[derive(Deserialize)]
pub(super) struct MonthQuery {
    month: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Query(asked): Query<MonthQuery>,
) -> Result<Response, ConsoleError> {
    let page = Page::of(&app, &client, Section::Calendar);
    let today = seoul_date(page.now);
    let first = match asked.month.as_deref() {
        None => today,
        Some(month) => format!("{month}-01").parse().map_err(|_| Failure::NotFound)?,
    };
    // PostgreSQL and people know these years.
    if !(2000..=2200).contains(&first.year()) {
        return Err(Failure::NotFound.into());
    }
    let mut tx = console::begin(&app.pool).await?;
    let month = app.months.get((first, today), calendar::month_of(&mut tx, first, today)).await;
    let month = month.map_err(failed)?;
    drop(tx);
    let moved =
        |date: Option<NaiveDate>| date.map_or_else(String::new, |date| date.format("%Y-%m").to_string());
    render(&CalendarPage {
        heading: month.first.format("%Y-%m").to_string(),
        before: moved(month.first.checked_sub_months(Months::new(1))),
        after: moved(month.first.checked_add_months(Months::new(1))),
        weekdays: weekdays(&page),
        total: sums(&page, &total(&month.days)),
        weeks: weeks(&page, month.first, &month.days, today),
        page,
    })
}

fn weekdays(page: &Page) -> [&'static str; 7] {
    [
        page.t("월", "Mon"),
        page.t("화", "Tue"),
        page.t("수", "Wed"),
        page.t("목", "Thu"),
        page.t("금", "Fri"),
        page.t("토", "Sat"),
        page.t("일", "Sun"),
    ]
}

fn weeks(page: &Page, first: NaiveDate, days: &[CalendarDay], today: NaiveDate) -> Vec<Vec<Option<DayCell>>> {
    let offset = first.weekday().num_days_from_monday();
    let blanks = (0..offset).map(|_| None);
    let cells = days.iter().map(|day| {
        Some(DayCell {
            date: day.date,
            day: day.date.day(),
            is_today: day.date == today,
            sums: sums(page, &[day.expected, day.charged, day.failed, day.refunded]),
        })
    });
    let mut cells: Vec<Option<DayCell>> = blanks.chain(cells).collect();
    let missing = cells.len().next_multiple_of(7) - cells.len();
    cells.extend((0..missing).map(|_| None));
    let mut weeks = Vec::new();
    while !cells.is_empty() {
        let rest = cells.split_off(7.min(cells.len()));
        weeks.push(cells);
        cells = rest;
    }
    weeks
}

fn total(days: &[CalendarDay]) -> [Sum; 4] {
    let add = |of: fn(&CalendarDay) -> Sum| {
        days.iter().map(of).fold(Sum::default(), |a, b| Sum {
            count: a.count.saturating_add(b.count),
            amount: a.amount.saturating_add(b.amount),
        })
    };
    [add(|day| day.expected), add(|day| day.charged), add(|day| day.failed), add(|day| day.refunded)]
}

/// Expected, charged, failed, refunded.
fn sums(page: &Page, [expected, charged, failed, refunded]: &[Sum; 4]) -> DaySums {
    let lines = [
        ("run", page.t("예정", "expected"), expected),
        ("good", page.t("결제", "charged"), charged),
        ("bad", page.t("실패", "failed"), failed),
        ("warn", page.t("환불", "refunded"), refunded),
    ];
    let shown = lines.into_iter().filter(|(_, _, sum)| sum.count > 0);
    let text = |sum: &Sum| format!("{} · {}", format::count(sum.count), format::won(sum.amount));
    DaySums { lines: shown.map(|(tone, label, sum)| (tone, label, text(sum))).collect() }
}

#[derive(Template)]
#[template(path = "console/day.html")]
struct DayPage {
    page: Page,
    date: NaiveDate,
    month: String,
    charged: String,
    amount: String,
    left_out: Vec<(&'static str, String, String)>,
    lines: Vec<Line>,
    next: Option<Uuid>,
}

struct Line {
    href: String,
    reference: String,
    plan: String,
    amount: String,
    period: String,
    cause: &'static str,
    not_charged: Option<&'static str>,
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<Uuid>,
}

pub(super) async fn day(
    State(app): State<Arc<App>>,
    client: Client,
    Path(date): Path<String>,
    Query(After { after }): Query<After>,
) -> Result<Response, ConsoleError> {
    let date: NaiveDate = date.parse().map_err(|_| Failure::NotFound)?;
    if !(2000..=2200).contains(&date.year()) {
        return Err(Failure::NotFound.into());
    }
    let mut tx = console::begin(&app.pool).await?;
    let totals = dry_run::dry_run_totals(&mut tx, date).await.map_err(failed)?;
    let lines =
        dry_run::dry_run_page(&mut tx, date, after.unwrap_or_default(), ROWS).await.map_err(failed)?;
    drop(tx);
    let page = Page::new(&app, &client, Some(Section::Calendar), date.to_string());
    render(&DayPage {
        date,
        month: date.format("%Y-%m").to_string(),
        charged: format::count(i64::try_from(totals.charged).unwrap_or(i64::MAX)),
        amount: format::won(totals.amount),
        left_out: left_out(&page, &totals),
        lines: lines.lines.iter().map(|row| line(&page, row)).collect(),
        next: lines.next,
        page,
    })
}

fn left_out(page: &Page, totals: &DryRunTotals) -> Vec<(&'static str, String, String)> {
    let lines = totals.not_charged.iter().map(|(why, (count, amount))| {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        (why_not(page, *why), format::count(count), format::won(*amount))
    });
    lines.collect()
}

fn line(page: &Page, row: &DryRunLine) -> Line {
    let amount = match row.old_amount {
        Some(old) => format!("{old} → {}", row.amount),
        None => row.amount.to_string(),
    };
    let plan = match &row.old_plan {
        Some(old) => format!("{old} → {}", row.plan),
        None => row.plan.clone(),
    };
    let last = row.period_end.pred_opt().unwrap_or(row.period_end);
    Line {
        href: subscription_path(row.subscription_id),
        reference: common::id::subscription_ref(row.subscription_id),
        plan,
        amount,
        period: format!("{} – {last} ({})", row.period_start, row.period_no),
        cause: cause(page, row.cause),
        not_charged: row.not_charged.map(|why| why_not(page, why)),
    }
}

fn cause(page: &Page, cause: Cause) -> &'static str {
    match cause {
        Cause::Renewal => page.t("정기 결제", "Renewal"),
        Cause::ChangedRenewal => page.t("변경된 조건의 정기 결제", "Renewal under new terms"),
        Cause::Retry => page.t("거절된 결제 다시 시도", "Retry of a declined charge"),
        Cause::OlderPeriod => page.t("멈춘 동안 시작된 기간", "Period that began while nothing ran"),
    }
}

fn why_not(page: &Page, why: NotCharged) -> &'static str {
    match why {
        NotCharged::NoCard => page.t("등록된 카드 없음", "No card"),
        NotCharged::HardDecline => page.t("카드가 최종 거절됨", "The card was refused for good"),
        NotCharged::NoConsent => page.t("인상 동의 없음: 구독 종료", "No consent: the subscription ends"),
        NotCharged::SubscriptionPaused => {
            page.t("이 구독의 결제가 멈춰 있음", "Charges of the subscription are paused")
        }
        NotCharged::ChargingOff => page.t("모든 결제가 꺼져 있음", "Charging is switched off"),
        NotCharged::PaymentInFlight => {
            page.t("이전 결제의 결과를 조회 중", "An earlier payment is looked up")
        }
        NotCharged::OnHold => page.t("보류: 운영자를 기다림", "On hold: waits for an operator"),
        NotCharged::NothingOwed => page.t("청구할 금액 없음", "Nothing is owed"),
    }
}

fn failed(error: DryRunError) -> ConsoleError {
    match error {
        DryRunError::Store(error) => error.into(),
        DryRunError::Calendar(error) => ConsoleError::internal(error),
    }
}
