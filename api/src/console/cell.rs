//! A table's cell: shown on a page with its shape, and written into a CSV file as plain text.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use common::domain::calendar::{seoul_date, seoul_time};
use common::id::subscription_ref;
use uuid::Uuid;

use super::format;

/// How a state is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
    Run,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Run => "run",
        }
    }

    /// Of any status or state of ours.
    pub(super) fn of(state: &str) -> Self {
        match state {
            "completed" | "paid" | "active" | "sent" | "delivered" | "handled" | "applied" | "done" => {
                Self::Good
            }
            "unknown" | "past_due" | "suspended" | "partially_refunded" | "hard" | "soft" | "incomplete"
            | "issued" | "proving" => Self::Warn,
            "failed" | "refused" | "parked" | "uncollectible" | "review" => Self::Bad,
            "pending" | "running" | "queued" | "available" | "received" | "open" => Self::Run,
            _ => Self::Plain,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Cell {
    Empty,
    /// What others wrote.
    Text(String),
    /// Ids and names of programs.
    Code(String),
    Number(i64),
    Won(i64),
    Time(DateTime<Utc>),
    State(String),
    Subscription(Uuid, String),
}

impl Cell {
    pub(super) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Empty, |text| Self::Text(text.to_owned()))
    }

    pub(super) fn code(text: Option<&str>) -> Self {
        text.map_or(Self::Empty, |text| Self::Code(text.to_owned()))
    }

    pub(super) fn time(at: Option<DateTime<Utc>>) -> Self {
        at.map_or(Self::Empty, Self::Time)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Won(_))
    }

    /// As HTML. What others wrote is escaped here, and isolated, so that its direction ends with it.
    pub(super) fn html(&self) -> String {
        match self {
            Self::Empty => "<span class=\"none\">–</span>".to_owned(),
            Self::Text(text) => format!("<bdi>{}</bdi>", escape(&format::clip(text))),
            Self::Code(text) => format!("<code>{}</code>", escape(&format::clip(text))),
            Self::Number(number) => format::count(*number),
            Self::Won(amount) => format::won(*amount),
            Self::Time(at) => format::time_element(*at),
            Self::State(state) => chip(state),
            Self::Subscription(id, name) => {
                format!(
                    "<a href=\"{}\"><bdi>{}</bdi></a>",
                    subscription_path(*id),
                    escape(&format::clip(name))
                )
            }
        }
    }

    /// As [`Self::html`], where it stands in a link already.
    pub(super) fn plain_html(&self) -> String {
        match self {
            Self::Subscription(_, name) => format!("<bdi>{}</bdi>", escape(&format::clip(name))),
            other => other.html(),
        }
    }

    /// For a spreadsheet: times in Seoul, amounts as plain numbers.
    pub(super) fn csv(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Code(text) | Self::State(text) => text.clone(),
            Self::Number(number) | Self::Won(number) => number.to_string(),
            Self::Time(at) => format!("{} {}", seoul_date(*at), seoul_time(*at).format("%H:%M:%S")),
            Self::Subscription(id, _) => subscription_ref(*id),
        }
    }
}

pub(super) fn chip(state: &str) -> String {
    format!("<span class=\"chip {}\">{}</span>", Tone::of(state).class(), escape(&format::clip(state)))
}

pub(super) fn subscription_path(id: Uuid) -> String {
    format!("/console/subscriptions/{}", subscription_ref(id))
}

/// A spreadsheet reads full-width signs as it reads the others.
const FORMULA_SIGNS: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

/// A field of a CSV file (RFC 4180). A text that a spreadsheet would run as a formula gets a quote before it; a number of
/// ours is none.
pub(super) fn csv_field(cell: &Cell) -> String {
    let text = cell.csv();
    let is_formula = !cell.is_number() && text.starts_with(FORMULA_SIGNS);
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => {
                // Writing to a string cannot fail.
                let _ = escaped.write_char(c);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_as_text_and_hidden_characters_are_seen() {
        let cell = Cell::Text("<img src=x onerror=alert(1)>\u{202E}".to_owned());
        assert_eq!(cell.html(), "<bdi>&lt;img src=x onerror=alert(1)&gt;\u{FFFD}</bdi>");
        let long = Cell::Text("가".repeat(10_000)).html();
        assert!(long.chars().count() < 400 && long.ends_with("…</bdi>"), "{}", long.len());
    }

    #[test]
    fn a_spreadsheet_runs_no_text_as_a_formula() {
        for (text, field) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2", "'-2"),
            ("＝1+1", "'＝1+1"),
            ("＋1", "'＋1"),
            ("－2", "'－2"),
            ("＠SUM(A1)", "'＠SUM(A1)"),
            ("a,b", "\"a,b\""),
            ("=a\"b", "\"'=a\"\"b\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(csv_field(&Cell::Text(text.to_owned())), field);
        }
        assert_eq!(csv_field(&Cell::Won(-9_900)), "-9900");
    }
}
