//! One subscription's history in one line of time: invoices, payments, refunds, cards, jobs, e-mails, webhooks, changes, and
//! who did what.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::domain::calendar::seoul_midnight;
use common::store::console::jobs::JobLine;
use common::store::console::lists::{EventOutRow, WebhookRow};
use common::store::console::{Filter, jobs, lists};
use common::store::events::Event;
use common::store::operator_actions::{ActionFilter, ActionRow};
use common::store::subscription_history::{
    CardLine, ChangeLine, EmailLine, InvoiceLine, PaymentLine, RefundLine,
};
use common::store::{StoreError, events, operator_actions, subscription_history};
use sqlx::PgConnection;
use uuid::Uuid;

use super::action_words::label;
use super::cell::{Cell, Tone};
use super::{format, toss_code};
use crate::language::Language;

/// Enough for years; a subscription that had more is read in its lists.
const MAX_OF_EACH: i64 = 400;

/// Something that happened.
pub(super) struct Entry {
    pub(super) at: DateTime<Utc>,
    /// For links to it.
    pub(super) anchor: Option<String>,
    pub(super) title: String,
    pub(super) state: Option<String>,
    pub(super) facts: Vec<(&'static str, Cell)>,
    pub(super) href: Option<String>,
    pub(super) tone: Tone,
    /// What an operator can do with it: action and target.
    pub(super) actions: Vec<(&'static str, String)>,
}

impl Entry {
    fn new(at: DateTime<Utc>, title: impl Into<String>, state: Option<&str>) -> Self {
        Self {
            at,
            anchor: None,
            title: title.into(),
            state: state.map(str::to_owned),
            facts: Vec::new(),
            href: None,
            tone: state.map_or(Tone::Plain, Tone::of),
            actions: Vec::new(),
        }
    }

    fn anchor(self, anchor: String) -> Self {
        Self { anchor: Some(anchor), ..self }
    }

    fn href(self, href: String) -> Self {
        Self { href: Some(href), ..self }
    }

    fn fact(mut self, label: &'static str, cell: Cell) -> Self {
        if !matches!(cell, Cell::Empty) {
            self.facts.push((label, cell));
        }
        self
    }

    fn action(mut self, is_possible: bool, action: &'static str, target: Uuid) -> Self {
        if is_possible {
            self.actions.push((action, target.to_string()));
        }
        self
    }

    pub(super) fn class(&self) -> &'static str {
        self.tone.class()
    }
}

/// What the tables say of one subscription.
pub(super) struct History {
    pub(super) invoices: Vec<InvoiceLine>,
    pub(super) payments: Vec<PaymentLine>,
    pub(super) refunds: Vec<RefundLine>,
    pub(super) changes: Vec<ChangeLine>,
    cards: Vec<CardLine>,
    emails: Vec<EmailLine>,
    jobs: Vec<JobLine>,
    events_out: Vec<EventOutRow>,
    webhooks_in: Vec<WebhookRow>,
    audit: Vec<Event>,
    actions: Vec<ActionRow>,
}

impl History {
    pub(super) async fn read(conn: &mut PgConnection, id: Uuid) -> Result<Self, StoreError> {
        let actions = ActionFilter { subscription_id: Some(id), ..ActionFilter::default() };
        let own = Filter { subscription_id: Some(id), limit: MAX_OF_EACH, ..Filter::default() };
        Ok(Self {
            invoices: subscription_history::invoices(conn, id).await?,
            payments: subscription_history::payments(conn, id).await?,
            refunds: subscription_history::refunds(conn, id).await?,
            changes: subscription_history::plan_changes(conn, id).await?,
            cards: subscription_history::cards(conn, id).await?,
            emails: subscription_history::emails(conn, id).await?,
            jobs: jobs::of_subscription(conn, id, MAX_OF_EACH).await?,
            events_out: lists::events_out(conn, &own).await?,
            webhooks_in: lists::webhooks(conn, &own).await?,
            audit: events::of_subscription(conn, id).await?,
            actions: operator_actions::page(conn, &actions, MAX_OF_EACH).await?,
        })
    }

    /// Newest first.
    pub(super) fn entries(&self, language: Language) -> Vec<Entry> {
        let words = Words(language);
        let mut entries: Vec<Entry> = Vec::new();
        entries.extend(self.invoices.iter().map(|line| words.invoice(line)));
        entries.extend(self.payments.iter().map(|line| words.payment(line)));
        entries.extend(self.refunds.iter().map(|line| words.refund(line)));
        entries.extend(self.changes.iter().flat_map(|line| words.change(line)));
        entries.extend(self.cards.iter().map(|line| words.card(line)));
        entries.extend(self.emails.iter().map(|line| words.email(line)));
        entries.extend(self.jobs.iter().map(|line| words.job(line)));
        entries.extend(self.webhooks_in.iter().map(|line| words.webhook_in(line)));
        entries.extend(self.events_out.iter().map(|line| words.event_out(line)));
        entries.extend(self.actions.iter().map(|line| words.action(line)));
        entries.extend(self.audit.iter().map(|line| words.audit(line)));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        entries
    }
}

/// Writes entries in one language.
struct Words(Language);

impl Words {
    fn t(&self, korean: &'static str, english: &'static str) -> &'static str {
        self.0.choose(korean, english)
    }

    fn invoice(&self, line: &InvoiceLine) -> Entry {
        // The row has no time of its making: it stands where its period begins, or where it was held.
        let at = line.held_since.unwrap_or_else(|| seoul_midnight(line.due_on));
        let held = line.held_since.is_some() && line.status == "open";
        let state = if held { "review" } else { &line.status };
        Entry::new(at, format!("{} {}", self.t("청구서", "Invoice"), line.period_no), Some(state))
            .anchor(format!("i-{}", line.id))
            .fact(self.t("기간", "Period"), period(line.period_start, line.period_end))
            .fact(self.t("금액", "Amount"), Cell::Won(line.amount.into()))
            .fact(self.t("다음 시도", "Next try"), open_only(line, line.next_attempt_at))
            .fact(self.t("보류 시작", "On hold since"), Cell::time(line.held_since))
            .fact(self.t("첫 거절", "First declined"), Cell::time(line.first_failed_at))
            .fact(self.t("결제됨", "Paid"), Cell::time(line.paid_at))
            .fact(self.t("닫힘", "Closed"), Cell::time(line.closed_at))
            .action(held, "invoice.charge", line.id)
            .action(held, "invoice.forgive", line.id)
    }

    fn payment(&self, line: &PaymentLine) -> Entry {
        let code = line.toss_code.as_deref();
        let state =
            if line.review_since.is_some() && line.status == "unknown" { "review" } else { &line.status };
        let kind = match line.kind.as_str() {
            "first" => self.t("첫 결제", "First payment"),
            "new_card" => self.t("새 카드 결제", "Payment with a new card"),
            _ => self.t("정기 결제", "Renewal payment"),
        };
        let title = format!("{kind} {}-{}", line.period_no, line.attempt_no);
        Entry::new(line.sent_at.unwrap_or(line.created_at), title, Some(state))
            .anchor(format!("p-{}", line.id))
            .fact(self.t("금액", "Amount"), Cell::Won(line.amount.into()))
            .fact(self.t("주문 번호", "Order id"), Cell::Code(line.order_id.clone()))
            .fact(self.t("설명", "Meaning"), code.map_or(Cell::Empty, |code| self.meaning(code)))
            .fact(self.t("토스 코드", "Toss code"), Cell::code(code))
            .fact(self.t("토스 메시지", "Toss message"), Cell::text(line.toss_message.as_deref()))
            .fact(self.t("보낸 시각", "Sent"), Cell::time(line.sent_at))
            .fact(self.t("답한 시각", "Answered"), Cell::time(line.settled_at))
            .fact(self.t("걸린 시간", "Took"), took(line.sent_at, line.settled_at))
            .fact(self.t("불명 시작", "Unknown since"), Cell::time(line.unknown_since))
            .fact(self.t("결제 키", "Payment key"), Cell::code(line.payment_key.as_deref()))
            .fact(self.t("추적 ID", "Trace id"), Cell::code(line.toss_trace_id.as_deref()))
            .action(line.status == "unknown", "payment.look_up", line.id)
            .action(state == "review", "payment.claim_paid", line.id)
            .action(state == "review", "payment.claim_not_paid", line.id)
            .action(state == "review", "payment.agree_not_paid", line.id)
            .action(
                matches!(line.status.as_str(), "completed" | "partially_refunded"),
                "payment.refund",
                line.id,
            )
    }

    fn refund(&self, line: &RefundLine) -> Entry {
        let code = line.toss_code.as_deref();
        Entry::new(line.created_at, self.t("환불", "Refund"), Some(&line.status))
            .anchor(format!("r-{}", line.id))
            .fact(self.t("금액", "Amount"), Cell::Won(line.amount.into()))
            .fact(self.t("이유", "Reason"), Cell::Text(line.reason.clone()))
            .fact(self.t("누가", "By whom"), Cell::Code(line.requested_by.clone()))
            .fact(self.t("토스 코드", "Toss code"), Cell::code(code))
            .fact(self.t("토스 메시지", "Toss message"), Cell::text(line.toss_message.as_deref()))
            .fact(self.t("보낸 시각", "Sent"), Cell::time(line.sent_at))
            .fact(self.t("답한 시각", "Answered"), Cell::time(line.settled_at))
            .fact(self.t("걸린 시간", "Took"), took(line.sent_at, line.settled_at))
            .fact(self.t("추적 ID", "Trace id"), Cell::code(line.toss_trace_id.as_deref()))
    }

    fn card(&self, line: &CardLine) -> Entry {
        let code = line.toss_code.as_deref();
        Entry::new(line.created_at, self.t("카드 등록", "Card registration"), Some(&line.status))
            .anchor(format!("c-{}", line.id))
            .fact(self.t("카드", "Card"), Cell::code(line.card_number.as_deref()))
            .fact(self.t("설명", "Meaning"), code.map_or(Cell::Empty, |code| self.meaning(code)))
            .fact(self.t("토스 코드", "Toss code"), Cell::code(code))
            .fact(self.t("토스 메시지", "Toss message"), Cell::text(line.toss_message.as_deref()))
            .fact(self.t("보낸 시각", "Sent"), Cell::time(line.sent_at))
            .fact(self.t("답한 시각", "Answered"), Cell::time(line.settled_at))
            .fact(self.t("걸린 시간", "Took"), took(line.sent_at, line.settled_at))
    }

    fn email(&self, line: &EmailLine) -> Entry {
        Entry::new(
            line.created_at,
            format!("{}: {}", self.t("메일", "E-mail"), format::clip(&line.subject)),
            Some(&line.status),
        )
        .href(format!("/console/emails/{}", line.id))
        .fact(self.t("받는 사람", "To"), Cell::Text(line.to_address.clone()))
        .fact(self.t("오류", "Error"), Cell::text(line.last_error.as_deref()))
        .fact(self.t("끝난 시각", "Ended"), Cell::time(line.settled_at))
    }

    fn job(&self, line: &JobLine) -> Entry {
        let at = line.finished_at.or(line.started_at).unwrap_or(line.run_at);
        let title = format!("{} {}", self.t("작업", "Job"), line.kind);
        Entry::new(at, title, Some(&line.state))
            .href(format!("/console/jobs/{}", line.id))
            .fact(self.t("번호", "Number"), Cell::Code(line.id.to_string()))
            .fact(self.t("시도", "Try"), Cell::Text(format!("{}/{}", line.attempt, line.max_attempts)))
            .fact(self.t("오류", "Error"), Cell::text(line.last_error.as_deref()))
            .fact(self.t("메모", "Note"), Cell::text(line.note.as_deref()))
            .fact(self.t("다음 시도", "Next try"), Cell::time(line.next_run_at))
    }

    fn webhook_in(&self, line: &WebhookRow) -> Entry {
        let kind = line.event_type.as_deref().unwrap_or_default();
        let title = format!("{} {}", self.t("수신 웹훅", "Webhook in"), format::clip(kind));
        Entry::new(line.received_at, title, Some(&line.state))
            .href(format!("/console/webhooks/in/{}", line.id))
            .fact(self.t("결과", "Result"), Cell::text(line.note.as_deref()))
            .fact(self.t("처리 시각", "Handled"), Cell::time(line.handled_at))
    }

    fn event_out(&self, line: &EventOutRow) -> Entry {
        let title = format!("{} {}", self.t("발신 웹훅", "Outgoing webhook"), line.kind);
        Entry::new(line.created_at, title, Some(&line.state))
            .href(format!("/console/webhooks/out/{}", line.id))
            .fact(self.t("시도", "Tries"), Cell::Number(line.tries.into()))
            .fact(self.t("오류", "Error"), Cell::text(line.last_error.as_deref()))
    }

    fn change(&self, line: &ChangeLine) -> Vec<Entry> {
        let to = format!("{} {} {}", line.to_plan, line.to_cycle, format::won(line.to_amount.into()));
        let from = format!("{} {} {}", line.from_plan, line.from_cycle, format::won(line.from_amount.into()));
        let what = match line.price_change_id {
            Some(_) => self.t("가격 변경", "Price change"),
            None => self.t("플랜 변경", "Plan change"),
        };
        let change = Entry::new(line.created_at, what, Some(&line.status))
            .fact(self.t("이전", "From"), Cell::Text(from))
            .fact(self.t("이후", "To"), Cell::Text(to))
            .fact(self.t("적용일", "Effective"), Cell::Text(line.effective_on.to_string()))
            .fact(self.t("누가", "By whom"), Cell::Code(line.requested_by.clone()));
        let consent = line.consented_at.map(|at| {
            Entry::new(at, self.t("금액 인상 동의", "Consent to a higher amount"), None)
                .fact(self.t("누가", "By whom"), Cell::code(line.consented_by.as_deref()))
                .fact(self.t("보여 준 내용", "Shown text"), Cell::text(line.consented_to.as_deref()))
                .fact(self.t("주소", "Address"), Cell::code(line.consented_from.as_deref()))
        });
        std::iter::once(change).chain(consent).collect()
    }

    fn action(&self, line: &ActionRow) -> Entry {
        let title =
            format!("{}: {}", self.t("운영자 작업", "Operator's action"), label(&line.action, self.0));
        Entry::new(line.at, title, None)
            .href(format!("/console/actions/{}", line.id))
            .fact(self.t("누가", "By whom"), Cell::Code(line.actor.clone()))
            .fact(self.t("이유", "Why"), Cell::Text(line.reason.clone()))
    }

    fn audit(&self, line: &Event) -> Entry {
        let mut entry = Entry::new(line.at, line.what.clone(), None)
            .anchor(format!("a-{}", line.id))
            .fact(self.t("누가", "By whom"), Cell::Code(line.actor.clone()))
            .fact(self.t("이유", "Why"), Cell::Text(line.why.clone()));
        let (before, after) = (line.before.get("status"), line.after.get("status"));
        if let (Some(before), Some(after)) =
            (before.and_then(|value| value.as_str()), after.and_then(|value| value.as_str()))
            && before != after
        {
            entry = entry.fact(self.t("상태", "Status"), Cell::Text(format!("{before} → {after}")));
        }
        entry
    }

    fn meaning(&self, code: &str) -> Cell {
        toss_code::meaning(code).map_or(Cell::Empty, |(ko, en)| Cell::Text(self.t(ko, en).to_owned()))
    }
}

fn open_only(line: &InvoiceLine, at: Option<DateTime<Utc>>) -> Cell {
    if line.status == "open" { Cell::time(at) } else { Cell::Empty }
}

fn period(start: NaiveDate, end: NaiveDate) -> Cell {
    Cell::Text(format!("{start} – {}", end.pred_opt().unwrap_or(end)))
}

/// How long a call took, where it was sent and answered.
fn took(sent_at: Option<DateTime<Utc>>, answered_at: Option<DateTime<Utc>>) -> Cell {
    let Some((sent_at, answered_at)) = sent_at.zip(answered_at) else { return Cell::Empty };
    let took: TimeDelta = answered_at - sent_at;
    let text = match took.num_milliseconds() {
        ms if ms < 10_000 => format!("{} ms", format::count(ms)),
        _ => format::span(took),
    };
    Cell::Text(text)
}
