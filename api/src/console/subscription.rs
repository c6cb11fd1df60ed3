//! One subscription: what it is, what is to come, and everything that happened.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use common::domain::calendar::seoul_midnight;
use common::id::{parse_subscription_ref, subscription_ref};
use common::store::console;
use common::store::console::subscription;
use common::store::console::subscription::Head;

use super::cell::Cell;
use super::failure::{ConsoleError, Failure};
use super::format;
use super::page::{Page, Section, render};
use super::session::Client;
use super::timeline::{Entry, History};
use crate::app::App;

#[derive(Template)]
#[template(path = "console/subscription.html")]
struct SubscriptionPage {
    page: Page,
    head: Head,
    reference: String,
    facts: Vec<(&'static str, Cell)>,
    actions: Vec<&'static str>,
    coming: Vec<(DateTime<Utc>, String)>,
    days: Vec<Day>,
}

/// The entries of one civil day.
struct Day {
    date: String,
    entries: Vec<Entry>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, ConsoleError> {
    let id = parse_subscription_ref(&id).ok_or(Failure::NotFound)?;
    let mut tx = console::begin(&app.pool).await?;
    let head = subscription::head(&mut tx, id).await?.ok_or(Failure::NotFound)?;
    let history = History::read(&mut tx, id).await?;
    drop(tx);
    let reference = subscription_ref(id);
    let title = format!("{} · {reference}", format::clip(&head.customer_name));
    let page = Page::new(&app, &client, Some(Section::Subscriptions), title);
    render(&SubscriptionPage {
        facts: facts(&page, &head),
        actions: actions(&head),
        coming: coming(&page, &head, &history),
        days: by_day(history.entries(page.language)),
        reference,
        head,
        page,
    })
}

fn facts(page: &Page, head: &Head) -> Vec<(&'static str, Cell)> {
    let card = match (&head.card_number, head.has_card) {
        (Some(number), true) => Cell::Code(number.clone()),
        (None, true) => Cell::Text(page.t("등록됨", "registered").to_owned()),
        (_, false) => Cell::Text(page.t("없음", "none").to_owned()),
    };
    let period = format!(
        "{} – {} ({})",
        head.current_period_start,
        head.current_period_end.pred_opt().unwrap_or(head.current_period_end),
        head.period_no
    );
    let facts = [
        (page.t("이메일", "E-mail"), Cell::Text(head.customer_email.clone())),
        (page.t("플랜", "Plan"), Cell::Text(format!("{} · {}", head.plan, head.billing_cycle))),
        (page.t("금액", "Amount"), Cell::Won(head.amount.into())),
        (page.t("카드", "Card"), card),
        (page.t("현재 기간", "Current period"), Cell::Text(period)),
        (page.t("기준일", "Anchor date"), Cell::Text(head.anchor_on.to_string())),
        (page.t("시작", "Made"), Cell::Time(head.created_at)),
        (page.t("결제 멈춤", "Charging paused"), Cell::time(head.charging_paused_at)),
        (page.t("일시정지", "Suspended"), Cell::time(head.suspended_at)),
        (page.t("해지", "Canceled"), Cell::time(head.canceled_at)),
        (page.t("해지 이유", "Reason"), Cell::text(head.cancel_reason.as_deref())),
        (page.t("즉시 종료", "Ended at once"), Cell::time(head.ended_at)),
        (page.t("사용자 ID", "User id"), Cell::Code(head.user_id.to_string())),
    ];
    facts.into_iter().filter(|(_, cell)| !matches!(cell, Cell::Empty)).collect()
}

/// What an operator can do with the subscription as it stands.
fn actions(head: &Head) -> Vec<&'static str> {
    let is_living = head.status != "canceled";
    let mut actions = Vec::new();
    if is_living {
        actions.push("subscription.cancel");
    }
    if head.ended_at.is_none() && head.status != "incomplete" {
        actions.push("subscription.end");
    }
    match head.charging_paused_at {
        Some(_) => actions.push("subscription.resume_charging"),
        None if is_living => actions.push("subscription.pause_charging"),
        None => {}
    }
    actions
}

/// The dates to come, first to last.
fn coming(page: &Page, head: &Head, history: &History) -> Vec<(DateTime<Utc>, String)> {
    let mut dates = Vec::new();
    let is_charged = matches!(head.status.as_str(), "active") && head.charging_paused_at.is_none();
    if is_charged {
        let text =
            format!("{} {}", page.t("다음 정기 결제", "Next renewal"), format::won(head.amount.into()));
        dates.push((head.next_billing_date, text));
    }
    for invoice in history.invoices.iter().filter(|invoice| invoice.status == "open") {
        if let (Some(at), None) = (invoice.next_attempt_at, invoice.held_since) {
            let text = format!(
                "{} {}",
                page.t("거절된 결제 다시 시도", "Next try of a declined charge"),
                format::won(invoice.amount.into())
            );
            dates.push((at, text));
        }
    }
    for change in history.changes.iter().filter(|change| change.status == "pending") {
        let text = format!(
            "{} {} {} {}",
            page.t("변경 적용:", "Changes to"),
            change.to_plan,
            change.to_cycle,
            format::won(change.to_amount.into())
        );
        dates.push((seoul_midnight(change.effective_on), text));
    }
    if head.status == "canceled" && head.ended_at.is_none() && head.suspended_at.is_none() {
        let end = seoul_midnight(head.current_period_end);
        if end > page.now {
            dates.push((end, page.t("이용 종료", "Access ends").to_owned()));
        }
    }
    if let (Some(until), "incomplete") = (head.repair_until, head.status.as_str()) {
        dates
            .push((until, page.t("첫 결제가 없으면 종료", "Ends unless the first payment comes").to_owned()));
    }
    dates.sort_by_key(|(at, _)| *at);
    dates
}

fn by_day(entries: Vec<Entry>) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for entry in entries {
        let date = common::domain::calendar::seoul_date(entry.at).to_string();
        match days.last_mut().filter(|day| day.date == date) {
            Some(day) => day.entries.push(entry),
            None => days.push(Day { date, entries: vec![entry] }),
        }
    }
    days
}
