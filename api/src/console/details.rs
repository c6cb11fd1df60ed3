//! The pages of single things: a job with every try, an e-mail with its preview, a webhook in, a webhook out, a
//! discrepancy.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use common::id::{parse_subscription_ref, subscription_ref};
use common::queue;
use common::queue::{JobRow, QueueError};
use common::store::console::lists::EmailText;
use common::store::console::{lists, money};
use common::store::{StoreError, console};
use common::visible_text::visible_lines;
use uuid::Uuid;

use super::cell::{Cell, subscription_path};
use super::failure::{ConsoleError, Failure};
use super::page::{Page, Section, render};
use super::session::Client;
use crate::app::App;

#[derive(Template)]
#[template(path = "console/job.html")]
struct JobPage {
    page: Page,
    kind: String,
    subject: Vec<(String, Option<String>, String)>,
    args: String,
    tries: Vec<Try>,
}

struct Try {
    id: i64,
    state: String,
    heading: String,
    facts: Vec<(&'static str, Cell)>,
    error: Option<String>,
    actions: Vec<&'static str>,
}

pub(super) async fn job(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<i64>,
) -> Result<Response, ConsoleError> {
    let mut tx = console::begin(&app.pool).await?;
    let rows = queue::show(&mut tx, id).await.map_err(|error| match error {
        QueueError::NotFound(_) => ConsoleError::from(Failure::NotFound),
        other => StoreError::from(other).into(),
    })?;
    drop(tx);
    let first = rows.first().ok_or(Failure::NotFound)?;
    let page = Page::new(&app, &client, Some(Section::Jobs), format!("{} {}", first.kind, first.root_id));
    let subject = first.subject.as_object().into_iter().flatten().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let href =
            (name == "subscription").then(|| parse_subscription_ref(&value).map(subscription_path)).flatten();
        (name.clone(), href, value)
    });
    render(&JobPage {
        kind: first.kind.clone(),
        subject: subject.collect(),
        args: pretty(&first.args),
        tries: rows.iter().rev().map(|row| attempt(&page, row)).collect(),
        page,
    })
}

fn attempt(page: &Page, row: &JobRow) -> Try {
    let counted = |number: i32| if number > 0 { Cell::Number(number.into()) } else { Cell::Empty };
    let facts = [
        (page.t("실행 시각", "Runs at"), Cell::Time(row.run_at)),
        (page.t("시작", "Started"), Cell::time(row.started_at)),
        (page.t("끝", "Ended"), Cell::time(row.finished_at)),
        (page.t("작업자", "Worker"), Cell::code(row.worker.as_deref())),
        (page.t("작업자 중단", "Worker crashes"), counted(row.crashes)),
        (page.t("미룬 횟수", "Put off"), counted(row.snoozes)),
        (page.t("메모", "Note"), Cell::text(row.note.as_deref())),
        (page.t("다음 시도", "Next try"), row.next_id.map_or(Cell::Empty, |id| Cell::Code(id.to_string()))),
        (page.t("다음 시도 시각", "Next try at"), Cell::time(row.next_run_at)),
    ];
    Try {
        id: row.id,
        state: row.state.clone(),
        heading: format!("{} {}/{}", page.t("시도", "Try"), row.attempt, row.max_attempts),
        facts: facts.into_iter().filter(|(_, cell)| !matches!(cell, Cell::Empty)).collect(),
        error: row.last_error.as_deref().map(visible_lines),
        actions: job_actions(row),
    }
}

/// What an operator can do with a try as it stands.
fn job_actions(row: &JobRow) -> Vec<&'static str> {
    match (row.state.as_str(), row.next_id) {
        ("available", _) => vec!["job.retry", "job.snooze", "job.discard"],
        ("parked", _) | ("failed", None) => vec!["job.retry", "job.discard"],
        ("discarded", None) => vec!["job.retry"],
        _ => Vec::new(),
    }
}

fn pretty(value: &serde_json::Value) -> String {
    visible_lines(&serde_json::to_string_pretty(value).unwrap_or_default())
}

#[derive(Template)]
#[template(path = "console/email.html")]
struct EmailPage {
    page: Page,
    email: EmailText,
    text: String,
}

pub(super) async fn email(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<Uuid>,
) -> Result<Response, ConsoleError> {
    let email = lists::email(&mut *console::begin(&app.pool).await?, id).await?.ok_or(Failure::NotFound)?;
    let title = super::format::clip(&email.row.subject);
    let text = visible_lines(&email.body_text);
    render(&EmailPage { page: Page::new(&app, &client, Some(Section::Emails), title), email, text })
}

/// The e-mail as its reader sees it, in a frame that runs nothing, loads nothing and leads nowhere. E-mails carry their
/// styles inline, so this one answer allows inline styles, and nothing else.
pub(super) async fn email_preview(
    State(app): State<Arc<App>>,
    Path(id): Path<Uuid>,
) -> Result<Response, ConsoleError> {
    let email = lists::email(&mut *console::begin(&app.pool).await?, id).await?.ok_or(Failure::NotFound)?;
    let mut response = Html(email.body_html).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

#[derive(Template)]
#[template(path = "console/thing.html")]
struct ThingPage {
    page: Page,
    heading: String,
    state: String,
    facts: Vec<(&'static str, Cell)>,
    parts: Vec<(&'static str, String)>,
    /// The action and its target.
    action: Option<(&'static str, String)>,
}

pub(super) async fn webhook_in(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<Uuid>,
) -> Result<Response, ConsoleError> {
    let (row, text) =
        lists::webhook(&mut *console::begin(&app.pool).await?, id).await?.ok_or(Failure::NotFound)?;
    let heading = row.event_type.clone().unwrap_or_else(|| row.transmission_id.clone());
    let page = Page::new(&app, &client, Some(Section::WebhooksIn), super::format::clip(&heading));
    let facts = vec![
        (page.t("전송 ID", "Transmission"), Cell::Code(row.transmission_id)),
        (page.t("받은 시각", "Received"), Cell::Time(row.received_at)),
        (page.t("처리 시각", "Handled"), Cell::time(row.handled_at)),
        (page.t("결과", "Result"), Cell::text(row.note.as_deref())),
        (
            page.t("구독", "Subscription"),
            row.subscription_id.map_or(Cell::Empty, |id| Cell::Subscription(id, subscription_ref(id))),
        ),
    ];
    let parts = vec![
        (page.t("헤더", "Headers"), pretty(&text.headers)),
        (page.t("본문", "Body"), body(&String::from_utf8_lossy(&text.body))),
    ];
    render(&ThingPage { heading, state: row.state, facts, parts, action: None, page })
}

pub(super) async fn webhook_out(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<Uuid>,
) -> Result<Response, ConsoleError> {
    let mut tx = console::begin(&app.pool).await?;
    let row = lists::event_out(&mut tx, id).await?.ok_or(Failure::NotFound)?;
    let sent = lists::event_out_body(&mut tx, id).await?.unwrap_or_default();
    drop(tx);
    let page = Page::new(&app, &client, Some(Section::WebhooksOut), super::format::clip(&row.kind));
    let subscription = subscription_ref(row.subscription_id);
    let facts = vec![
        (page.t("이벤트 ID", "Event id"), Cell::Code(common::id::event_ref(row.id))),
        (page.t("구독", "Subscription"), Cell::Subscription(row.subscription_id, subscription)),
        (page.t("만든 시각", "Written"), Cell::Time(row.created_at)),
        (page.t("시도", "Tries"), Cell::Number(row.tries.into())),
        (page.t("마지막 시도", "Last tried"), Cell::time(row.last_tried_at)),
        (page.t("끝난 시각", "Settled"), Cell::time(row.settled_at)),
        (page.t("오류", "Error"), Cell::text(row.last_error.as_deref())),
    ];
    let parts = vec![(page.t("본문", "Body"), body(&sent))];
    let action = (row.state != "pending").then(|| ("event.replay", row.id.to_string()));
    render(&ThingPage { heading: row.kind, state: row.state, facts, parts, action, page })
}

pub(super) async fn discrepancy(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<Uuid>,
) -> Result<Response, ConsoleError> {
    let row =
        money::discrepancy(&mut *console::begin(&app.pool).await?, id).await?.ok_or(Failure::NotFound)?;
    let page = Page::new(&app, &client, Some(Section::Discrepancies), format!("{} {}", row.kind, row.date));
    let won = |amount: Option<i64>| amount.map_or(Cell::Empty, Cell::Won);
    let facts = vec![
        (page.t("뜻", "Meaning"), Cell::Text(discrepancy_meaning(&page, &row.kind).to_owned())),
        (page.t("날짜", "Date"), Cell::Text(row.date.to_string())),
        (page.t("우리 금액", "Ours"), won(row.our_amount)),
        (page.t("토스 금액", "Toss's"), won(row.their_amount)),
        (
            page.t("구독", "Subscription"),
            row.subscription_id.map_or(Cell::Empty, |id| Cell::Subscription(id, subscription_ref(id))),
        ),
        (page.t("주문 번호", "Order id"), Cell::code(row.order_id.as_deref())),
        (page.t("결제 키", "Payment key"), Cell::code(row.payment_key.as_deref())),
        (page.t("대상", "Reference"), Cell::Code(row.reference.clone())),
        (page.t("처음 발견", "First seen"), Cell::Time(row.first_seen_at)),
        (page.t("마지막 확인", "Last seen"), Cell::Time(row.last_seen_at)),
        (page.t("해소됨", "Resolved"), Cell::time(row.resolved_at)),
        (page.t("어떻게", "How"), Cell::text(row.resolution.as_deref())),
        (page.t("인정됨", "Accepted"), Cell::time(row.accepted_at)),
        (page.t("누가", "By whom"), Cell::code(row.accepted_by.as_deref())),
        (page.t("이유", "Why"), Cell::text(row.acceptance.as_deref())),
    ];
    let facts = facts.into_iter().filter(|(_, cell)| !matches!(cell, Cell::Empty)).collect();
    let state = row.state();
    let action = (state == "open").then(|| ("discrepancy.accept", row.id.to_string()));
    render(&ThingPage { heading: row.kind, state: state.to_owned(), facts, parts: Vec::new(), action, page })
}

#[rustfmt::skip]
fn discrepancy_meaning(page: &Page, kind: &str) -> &'static str {
    match kind {
        "unknown_capture" => page.t("토스에는 결제가 있는데 우리 기록에는 없습니다.", "Toss has a payment that we do not know."),
        "capture_known_as_failed" => page.t("토스에서는 결제되었는데 우리 기록에는 실패로 되어 있습니다.", "Toss took the money; we have the payment as failed."),
        "capture_known_as_unfinished" => page.t("토스에서는 결제되었는데 우리 기록에는 아직 끝나지 않았습니다.", "Toss took the money; we have the payment as unfinished."),
        "amount_differs" => page.t("결제 금액이 서로 다릅니다.", "The amounts of the payment differ."),
        "missing_at_toss" => page.t("우리 기록에는 결제되었는데 토스에는 없습니다.", "We have the payment as paid; Toss does not have it."),
        "unknown_refund" => page.t("토스에는 환불이 있는데 우리 기록에는 없습니다.", "Toss has a refund that we do not know."),
        "refund_missing_at_toss" => page.t("우리 기록에는 환불되었는데 토스에는 없습니다.", "We have a refund as made; Toss does not have it."),
        "refund_amount_differs" => page.t("환불 금액이 서로 다릅니다.", "The amounts of the refund differ."),
        _ => "",
    }
}

/// JSON with one member a line; anything else as it is.
fn body(text: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => pretty(&value),
        Err(_) => visible_lines(text),
    }
}
