//! Today: how the day's charges stand, what waits for a person, and whether everything that works on it runs.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use common::domain::calendar::{days_after, seoul_date, seoul_midnight};
use common::store::console::today;
use common::store::console::today::{Figures, OldestDue, Progress};
use common::store::settings::ChargingSwitch;
use common::store::{console, gate, settings};

use super::charts;
use super::charts::Charts;
use super::failure::ConsoleError;
use super::format;
use super::page::{Page, Section, render};
use super::session::Client;
use crate::app::App;

#[derive(Template)]
#[template(path = "console/today.html")]
struct TodayPage {
    page: Page,
    date: String,
    charges: Vec<Tile>,
    attention: Vec<Tile>,
    scan: Scan,
    breaker: Breaker,
    charging: ChargingSwitch,
    instance: Option<String>,
    queues: Vec<Queue>,
    charts: Arc<Charts>,
}

struct Tile {
    label: &'static str,
    number: String,
    detail: String,
    tone: &'static str,
    href: &'static str,
}

struct Scan {
    settled: String,
    remaining: String,
    total: i64,
    done: i64,
    per_minute: String,
    is_running: bool,
}

struct Breaker {
    is_open: bool,
    failures: i32,
    open_until: Option<DateTime<Utc>>,
}

struct Queue {
    kind: String,
    due: String,
    waits: String,
}

pub(super) async fn show(State(app): State<Arc<App>>, client: Client) -> Result<Response, ConsoleError> {
    let page = Page::of(&app, &client, Section::Today);
    let now = page.now;
    let date = seoul_date(now);
    let today = seoul_midnight(date);
    let tomorrow = seoul_midnight(days_after(date, 1).map_err(ConsoleError::internal)?);
    let mut tx = console::begin(&app.pool).await?;
    let figures = today::figures(&mut tx, today, tomorrow).await?;
    let progress = today::progress(&mut tx, today, now).await?;
    let oldest = today::oldest_due(&mut tx, now).await?;
    let gateway = gate::read(&mut tx).await?;
    let charging = settings::charging_switch(&mut tx).await?;
    let charts = app.charts.get(date, charts::read(&mut tx, date)).await?;
    drop(tx);
    let breaker = Breaker {
        is_open: gateway.worst().open_until.is_some_and(|until| until > now),
        failures: gateway.worst().failures,
        open_until: gateway.worst().open_until,
    };
    render(&TodayPage {
        date: date.to_string(),
        charges: charges(&page, &figures),
        attention: attention(&page, &figures),
        scan: scan(&figures, progress),
        breaker,
        charging,
        instance: gateway.bound_to.map(|instance| instance.id),
        queues: oldest.into_iter().map(|row| queue(row, now)).collect(),
        charts,
        page,
    })
}

#[rustfmt::skip]
fn charges(page: &Page, figures: &Figures) -> Vec<Tile> {
    let tile = |label, number, amount, tone, href| {
        Tile { label, number: format::count(number), detail: format::won(amount), tone, href }
    };
    vec![
        tile(page.t("청구 예정", "Due"), figures.due, figures.due_amount, "", "/console/subscriptions?state=active"),
        tile(page.t("결제 완료", "Charged"), figures.charged, figures.charged_amount, "good", "/console/payments?state=completed&since=24h"),
        tile(page.t("거절", "Declined"), figures.declined, figures.declined_amount, warn_if(figures.declined), "/console/failures"),
    ]
}

#[rustfmt::skip]
fn attention(page: &Page, figures: &Figures) -> Vec<Tile> {
    let tile = |label, number: i64, detail: &str, tone, href| {
        Tile { label, number: format::count(number), detail: detail.to_owned(), tone, href }
    };
    let held = format::won(figures.on_hold_amount);
    let webhooks = figures.failed_webhooks + figures.failed_events;
    vec![
        tile(page.t("결과 불명", "Unknown"), figures.unknown, page.t("조회로 자동 확인", "looked up by itself"), warn_if(figures.unknown), "/console/payments?state=unknown"),
        tile(page.t("확인 필요", "Needs review"), figures.needs_review, page.t("24시간 넘게 불명", "unknown for over 24 h"), bad_if(figures.needs_review), "/console/payments?state=review"),
        tile(page.t("보류된 청구서", "Invoices on hold"), figures.on_hold, &held, bad_if(figures.on_hold), "/console/invoices"),
        tile(page.t("연체", "Past due"), figures.past_due, page.t("다시 시도 예정", "to be tried again"), warn_if(figures.past_due), "/console/subscriptions?state=past_due"),
        tile(page.t("일시정지", "Suspended"), figures.suspended, page.t("카드를 기다림", "waits for a card"), "", "/console/subscriptions?state=suspended"),
        tile(page.t("대사 불일치", "Discrepancies"), figures.discrepancies, page.t("토스 기록과 다름", "differs from Toss"), bad_if(figures.discrepancies), "/console/discrepancies?state=open"),
        tile(page.t("멈춘 작업", "Parked jobs"), figures.parked_jobs, page.t("운영자를 기다림", "wait for an operator"), bad_if(figures.parked_jobs), "/console/jobs?state=attention"),
        tile(page.t("보내지 못한 메일", "Failed e-mails"), figures.failed_emails, page.t("수신 거부됨", "refused for good"), warn_if(figures.failed_emails), "/console/emails?state=failed"),
        tile(page.t("실패한 웹훅", "Failed webhooks"), webhooks, page.t("수신·발신", "in and out"), warn_if(webhooks), "/console/failures?window=7d"),
    ]
}

fn warn_if(number: i64) -> &'static str {
    if number > 0 { "warn" } else { "" }
}

fn bad_if(number: i64) -> &'static str {
    if number > 0 { "bad" } else { "" }
}

fn scan(figures: &Figures, progress: Progress) -> Scan {
    let remaining = figures.due + progress.in_queue;
    Scan {
        settled: format::count(progress.settled),
        remaining: format::count(remaining),
        // An empty day is a full bar.
        total: (progress.settled + remaining).max(1),
        done: if progress.settled + remaining == 0 { 1 } else { progress.settled },
        per_minute: format::count(progress.settled_last_minute),
        is_running: progress.in_queue > 0,
    }
}

fn queue(row: OldestDue, now: DateTime<Utc>) -> Queue {
    Queue { kind: row.kind, due: format::count(row.due), waits: format::span(now - row.run_at) }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn an_empty_day_shows_a_full_bar() {
        let none = Progress { settled: 0, settled_last_minute: 0, in_queue: 0 };
        let empty = scan(&Figures::default(), none);
        assert_eq!((empty.done, empty.total, empty.is_running), (1, 1, false));
        let half =
            scan(&Figures { due: 3, ..Figures::default() }, Progress { settled: 5, in_queue: 2, ..none });
        assert_eq!((half.done, half.total, half.is_running), (5, 10, true));
        assert_eq!(format::span(TimeDelta::seconds(61)), "1m 1s");
    }
}
