//! What every page has: its language, its operator, the sections beside it, the search field, and the clock where it is a test's.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use common::{clock::Clock, domain::operator::Role};
use uuid::Uuid;

use super::failure::ConsoleError;
use super::session::{Client, Session};
use super::{action_words, assets, cell, format};
use crate::app::App;
use crate::language::Language;

/// A place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Today,
    Failures,
    Calendar,
    Payments,
    Refunds,
    Cards,
    Subscriptions,
    Jobs,
    HeldInvoices,
    Discrepancies,
    Emails,
    WebhooksIn,
    WebhooksOut,
    Audit,
    Actions,
    Clock,
    Settings,
}

impl Section {
    pub(super) const ALL: [Self; 17] = [
        Self::Today,
        Self::Failures,
        Self::Calendar,
        Self::Payments,
        Self::Refunds,
        Self::Cards,
        Self::Subscriptions,
        Self::Jobs,
        Self::HeldInvoices,
        Self::Discrepancies,
        Self::Emails,
        Self::WebhooksIn,
        Self::WebhooksOut,
        Self::Audit,
        Self::Actions,
        Self::Clock,
        Self::Settings,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Today => "/console",
            Self::Failures => "/console/failures",
            Self::Payments => "/console/payments",
            Self::Refunds => "/console/refunds",
            Self::Cards => "/console/cards",
            Self::Subscriptions => "/console/subscriptions",
            Self::Jobs => "/console/jobs",
            Self::HeldInvoices => "/console/invoices",
            Self::Discrepancies => "/console/discrepancies",
            Self::Emails => "/console/emails",
            Self::WebhooksIn => "/console/webhooks/in",
            Self::WebhooksOut => "/console/webhooks/out",
            Self::Audit => "/console/audit",
            Self::Actions => "/console/actions",
            Self::Calendar => "/console/calendar",
            Self::Clock => "/console/clock",
            Self::Settings => "/console/settings",
        }
    }

    /// After `g`.
    pub(super) fn key(self) -> char {
        match self {
            Self::Today => 't',
            Self::Failures => 'f',
            Self::Payments => 'p',
            Self::Refunds => 'r',
            Self::Cards => 'n',
            Self::Subscriptions => 'u',
            Self::Jobs => 'j',
            Self::HeldInvoices => 'i',
            Self::Discrepancies => 'd',
            Self::Emails => 'e',
            Self::WebhooksIn => 'w',
            Self::WebhooksOut => 'o',
            Self::Audit => 'a',
            Self::Actions => 'c',
            Self::Calendar => 'l',
            Self::Clock => 'k',
            Self::Settings => 's',
        }
    }

    pub(super) fn label(self, language: Language) -> &'static str {
        match self {
            Self::Today => language.choose("오늘", "Today"),
            Self::Failures => language.choose("실패", "Failures"),
            Self::Payments => language.choose("결제", "Payments"),
            Self::Refunds => language.choose("환불", "Refunds"),
            Self::Cards => language.choose("카드 등록", "Cards"),
            Self::Subscriptions => language.choose("구독", "Subscriptions"),
            Self::Jobs => language.choose("작업", "Jobs"),
            Self::HeldInvoices => language.choose("보류된 청구서", "On hold"),
            Self::Discrepancies => language.choose("대사 불일치", "Discrepancies"),
            Self::Emails => language.choose("메일", "E-mails"),
            Self::WebhooksIn => language.choose("수신 웹훅", "Webhooks in"),
            Self::WebhooksOut => language.choose("발신 웹훅", "Webhooks out"),
            Self::Audit => language.choose("감사 기록", "Audit log"),
            Self::Actions => language.choose("운영자 작업", "Operators' actions"),
            Self::Calendar => language.choose("달력", "Calendar"),
            Self::Clock => language.choose("테스트 시계", "Test clock"),
            Self::Settings => language.choose("설정", "Settings"),
        }
    }
}

pub(super) struct Page {
    pub(super) language: Language,
    pub(super) title: String,
    pub(super) session: Option<Session>,
    pub(super) section: Option<Section>,
    /// What stands in the search field.
    pub(super) search: String,
    pub(super) now: DateTime<Utc>,
    pub(super) is_test_clock: bool,
    pub(super) brand: String,
}

impl Page {
    pub(super) fn new(
        app: &App,
        client: &Client,
        section: Option<Section>,
        title: impl Into<String>,
    ) -> Self {
        Self {
            language: client.language,
            title: title.into(),
            session: client.session.clone(),
            section,
            search: String::new(),
            now: app.clock.now(),
            is_test_clock: !matches!(app.clock, Clock::System),
            brand: app.brand.name.clone(),
        }
    }

    /// Whether the operator may act, so that buttons are shown. The routes check it themselves.
    pub(super) fn may_act(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.role >= Role::Operator)
    }

    /// As [`Self::may_act`], for the switches.
    pub(super) fn is_admin(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.role == Role::Admin)
    }

    /// A section's own page.
    pub(super) fn of(app: &App, client: &Client, section: Section) -> Self {
        Self::new(app, client, Some(section), section.label(client.language))
    }

    /// A text in the operator's language.
    pub(super) fn t(&self, korean: &'static str, english: &'static str) -> &'static str {
        self.language.choose(korean, english)
    }

    pub(super) fn lang(&self) -> &'static str {
        self.language.choose("ko", "en")
    }
}

#[expect(
    clippy::unused_self,
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "templates call these on their page, and hand everything over by reference"
)]
impl Page {
    /// The test clock has a page only where it is followed.
    pub(super) fn sections(&self) -> Vec<Section> {
        let is_shown = |section: &Section| *section != Section::Clock || self.is_test_clock;
        Section::ALL.into_iter().filter(is_shown).collect()
    }

    pub(super) fn label(&self, section: &Section) -> &'static str {
        section.label(self.language)
    }

    pub(super) fn is_in(&self, section: &Section) -> bool {
        self.section == Some(*section)
    }

    /// What others wrote, with nothing in it unseen, and not so long that it hides the rest.
    pub(super) fn clip(&self, text: &str) -> String {
        format::clip(text)
    }

    /// What the button of an action says.
    pub(super) fn action(&self, name: &str) -> &'static str {
        action_words::label(name, self.language)
    }

    pub(super) fn chip(&self, state: &str) -> String {
        cell::chip(state)
    }

    pub(super) fn subscription_path(&self, id: &Uuid) -> String {
        cell::subscription_path(*id)
    }

    pub(super) fn or_dash(&self, text: &Option<String>) -> String {
        text.as_deref().map_or_else(|| "–".to_owned(), format::clip)
    }

    pub(super) fn css(&self) -> &'static str {
        assets::css_path()
    }

    pub(super) fn js(&self) -> &'static str {
        assets::js_path()
    }

    /// A time in Seoul as an element, with the exact one on hover.
    pub(super) fn time(&self, at: &DateTime<Utc>) -> String {
        format::time_element(*at)
    }

    /// The time of day in Seoul as an element, for entries under their date.
    pub(super) fn clock_time(&self, at: &DateTime<Utc>) -> String {
        format::clock_element(*at)
    }

    /// As [`Self::time`], or a dash.
    pub(super) fn time_or_dash(&self, at: &Option<DateTime<Utc>>) -> String {
        at.map_or_else(|| "–".to_owned(), format::time_element)
    }
}

pub(super) fn render(template: &impl Template) -> Result<Response, ConsoleError> {
    template.render().map(|html| Html(html).into_response()).map_err(ConsoleError::internal)
}
