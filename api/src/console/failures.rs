//! Failures: everything that went wrong, grouped by kind and cause, with what happens next by itself and when.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use common::domain::calendar::seoul_date;
use common::store::console;
use common::store::console::failures;
use common::store::console::failures::Group;
use serde::Deserialize;
use url::form_urlencoded;

use super::failure::ConsoleError;
use super::page::{Page, Section, render};
use super::session::Client;
use super::{format, toss_code};
use crate::app::App;

#[derive(Deserialize)]
pub(super) struct WindowQuery {
    window: Option<String>,
}

/// How far back a group must have happened to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Hour,
    Day,
    Week,
}

impl Window {
    const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    fn parse(text: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|window| Some(window.value()) == text).unwrap_or(Self::Day)
    }

    fn value(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    fn label(self, page: &Page) -> &'static str {
        match self {
            Self::Hour => page.t("1시간", "1 hour"),
            Self::Day => page.t("24시간", "24 hours"),
            Self::Week => page.t("7일", "7 days"),
        }
    }

    fn count(self, group: &Group) -> i64 {
        match self {
            Self::Hour => group.hour,
            Self::Day => group.day,
            Self::Week => group.week,
        }
    }
}

#[derive(Template)]
#[template(path = "console/failures.html")]
struct FailuresPage {
    page: Page,
    windows: Vec<Tab>,
    lines: Vec<Line>,
}

struct Tab {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

/// A group as it is shown.
struct Line {
    area: &'static str,
    kind: String,
    cause: String,
    meaning: &'static str,
    counts: [String; 3],
    last_at: chrono::DateTime<chrono::Utc>,
    next: String,
    next_at: Option<chrono::DateTime<chrono::Utc>>,
    is_waiting: bool,
    href: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Query(asked): Query<WindowQuery>,
) -> Result<Response, ConsoleError> {
    let page = Page::of(&app, &client, Section::Failures);
    let window = Window::parse(asked.window.as_deref());
    let mut tx = console::begin(&app.pool).await?;
    let groups = app.failures.get(seoul_date(page.now), failures::groups(&mut tx, page.now)).await?;
    drop(tx);
    let mut groups: Vec<Group> =
        groups.iter().filter(|group| window.count(group) > 0 || group.area == "unknown").cloned().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((window.count(group), group.last_at)));
    let tab =
        |known: Window| Tab { value: known.value(), label: known.label(&page), is_chosen: known == window };
    render(&FailuresPage {
        windows: Window::ALL.map(tab).into(),
        lines: groups.into_iter().map(|group| line(&page, group, window)).collect(),
        page,
    })
}

fn line(page: &Page, group: Group, window: Window) -> Line {
    let (area, next) = words(page, &group);
    Line {
        area,
        next,
        next_at: group.next_at.filter(|_| group.by_itself > 0),
        is_waiting: group.waiting > 0,
        counts: [group.hour, group.day, group.week].map(format::count),
        meaning: toss_code::meaning(&group.cause).map_or("", |(ko, en)| page.t(ko, en)),
        last_at: group.last_at,
        href: href(&group, window),
        kind: group.kind,
        cause: group.cause,
    }
}

/// What the group is called, and what happens next.
#[rustfmt::skip]
fn words(page: &Page, group: &Group) -> (&'static str, String) {
    let counted = |number: i64, ko, en| {
        (number > 0).then(|| format!("{}{} {}", format::count(number), page.t("건", ""), page.t(ko, en)))
    };
    let by_itself = |ko, en| counted(group.by_itself, ko, en);
    let waiting = |ko, en| counted(group.waiting, ko, en);
    let (area, parts) = match group.area.as_str() {
        "job" => (page.t("작업", "Job"),
            [by_itself("자동으로 다시 시도", "tried again by themselves"), waiting("운영자를 기다림", "wait for an operator")]),
        "decline" => (page.t("결제 거절", "Decline"),
            [by_itself("자동으로 다시 시도", "tried again by themselves"), waiting("새 카드 또는 운영자를 기다림", "wait for a new card or an operator")]),
        "unknown" => (page.t("결과 불명", "Unknown outcome"),
            [by_itself("자동으로 조회", "looked up by themselves"), waiting("24시간 넘어 운영자를 기다림", "over 24 h, wait for an operator")]),
        "refund" => (page.t("환불 실패", "Refund failed"), [None, waiting("운영자를 기다림", "wait for an operator")]),
        "card" => (page.t("카드 등록 거절", "Card refused"), [None, waiting("고객의 다른 카드를 기다림", "wait for another card")]),
        "email" => (page.t("메일 실패", "E-mail failed"), [None, waiting("자동으로 다시 보내지 않음", "are not sent again by themselves")]),
        "webhook" => (page.t("수신 웹훅 실패", "Webhook in failed"), [None, waiting("운영자를 기다림", "wait for an operator")]),
        _ => (page.t("발신 웹훅 실패", "Webhook out failed"),
            [by_itself("자동으로 다시 전달", "delivered again by themselves"), waiting("포기됨: 다시 보내기 필요", "given up: replay them")]),
    };
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    (area, if text.is_empty() { page.t("끝났거나 회복됨", "over, or recovered").to_owned() } else { text })
}

/// The list with the group's items.
fn href(group: &Group, window: Window) -> String {
    let (path, pairs): (&str, Vec<(&str, &str)>) = match group.area.as_str() {
        "job" => ("jobs", vec![("state", "failed"), ("kind", &group.kind), ("cause", &group.cause)]),
        "decline" => ("payments", vec![("state", "failed"), ("cause", &group.cause)]),
        "unknown" => ("payments", vec![("state", "unknown")]),
        "refund" => ("refunds", vec![("state", "failed"), ("cause", &group.cause)]),
        "card" => ("cards", vec![("state", "refused"), ("cause", &group.cause)]),
        "email" => ("emails", vec![("state", "failed"), ("kind", &group.kind)]),
        "webhook" => ("webhooks/in", vec![("state", "failed"), ("kind", &group.kind)]),
        _ => ("webhooks/out", vec![("kind", &group.kind)]),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
    // Jobs, payments, refunds and cards may be older than their failure: their lists are not cut by when they were made.
    if matches!(group.area.as_str(), "email" | "webhook" | "event") {
        query.append_pair("since", window.value());
    }
    format!("/console/{path}?{}", query.finish())
}
