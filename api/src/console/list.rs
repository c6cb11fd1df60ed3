//! Every list of the console: filters in the URL, keyset pages newest first, and the same rows as a CSV file.

use std::sync::Arc;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::calendar::seoul_midnight;
use common::id::parse_subscription_ref;
use common::store::console::Filter;
use common::store::{StoreError, console};
use futures::stream;
use sqlx::PgConnection;
use url::form_urlencoded;
use uuid::Uuid;

use super::cell::{Cell, csv_field};
use super::failure::ConsoleError;
use super::page::{Page, Section, render};
use super::session::Client;
use crate::app::App;
use crate::language::Language;

const ROWS: i64 = 50;
/// A file of a million rows is read in pieces of this size: memory stays flat, and no statement runs long.
const CSV_ROWS: i64 = 2_000;
/// Excel takes a file for UTF-8 only with this mark.
const BOM: &str = "\u{FEFF}";

/// One row of a list.
pub(super) struct Row {
    pub(super) position: Position,
    /// Where the row leads.
    pub(super) href: Option<String>,
    pub(super) cells: Vec<Cell>,
}

/// The place of a row in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Number(i64),
    Id(Uuid),
}

/// A choice in a list's filter; an empty value is any.
pub(super) type Choice = (&'static str, &'static str);

/// What distinguishes one list from another.
pub(super) trait List: 'static {
    const SECTION: Section;
    const PATH: &'static str;
    /// States that can be filtered by, Korean and English.
    const STATES: &'static [(&'static str, Choice)];
    /// Which further fields the filter has.
    const FIELDS: &'static [Field];

    /// Actions on everything that matches the filter.
    const BULK: &'static [&'static str] = &[];

    fn title(language: Language) -> &'static str {
        Self::SECTION.label(language)
    }

    fn columns(language: Language) -> Vec<&'static str>;

    fn rows(
        conn: &mut PgConnection,
        filter: &Filter,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Kind,
    Cause,
    Subscription,
    Actor,
    Plan,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Kind | Self::Plan => "kind",
            Self::Cause => "cause",
            Self::Subscription => "subscription",
            Self::Actor => "actor",
        }
    }

    fn label(self, language: Language) -> &'static str {
        match self {
            Self::Kind => language.choose("종류", "Kind"),
            Self::Cause => language.choose("원인", "Cause"),
            Self::Subscription => language.choose("구독 ID", "Subscription id"),
            Self::Actor => language.choose("누가", "By whom"),
            Self::Plan => language.choose("플랜", "Plan"),
        }
    }
}

/// A filter says something that cannot be meant.
struct Unreadable;

/// A filter as it stands in the URL.
#[derive(Debug, Clone, Default)]
pub(super) struct FilterValues {
    pairs: Vec<(String, String)>,
}

impl FilterValues {
    pub(super) fn read(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
        Self { pairs: pairs.filter(|(_, value)| !value.trim().is_empty()).collect() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// None where something cannot be meant: nothing matches it.
    pub(super) fn filter(&self, now: DateTime<Utc>) -> Option<Filter> {
        let text = |name| self.get(name).map(|text| text.replace('\0', ""));
        let (before_number, before_id) = match self.get("before") {
            None => (None, None),
            Some(text) => match text.parse::<i64>() {
                Ok(number) => (Some(number), None),
                Err(_) => (None, Some(Uuid::try_parse(text).ok()?)),
            },
        };
        let subscription_id = match self.get("subscription") {
            None => None,
            Some(text) => Some(parse_subscription_ref(text)?),
        };
        Some(Filter {
            state: text("state"),
            kind: text("kind"),
            cause: text("cause"),
            subscription_id,
            actor: text("actor"),
            since: self.instant("since", now).ok()?,
            until: self.instant("until", now).ok()?,
            before_number,
            before_id,
            limit: ROWS + 1,
        })
    }

    /// `1h`, `24h`, `7d`: before now; or a civil date in Seoul.
    fn instant(&self, name: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Unreadable> {
        let Some(text) = self.get(name) else { return Ok(None) };
        if let Ok(date) = text.parse() {
            return Ok(Some(seoul_midnight(date)));
        }
        let end = text.len().checked_sub(1).ok_or(Unreadable)?;
        let (number, unit) = text.split_at_checked(end).ok_or(Unreadable)?;
        let number = number.parse::<u16>().map_err(|_| Unreadable)?;
        match unit {
            "h" => Ok(Some(now - TimeDelta::hours(number.into()))),
            "d" => Ok(Some(now - TimeDelta::days(number.into()))),
            _ => Err(Unreadable),
        }
    }

    /// The same filter from another place on.
    fn with_before(&self, before: Position) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(name, _)| name != "before"));
        let before = match before {
            Position::Number(number) => number.to_string(),
            Position::Id(id) => id.to_string(),
        };
        query.append_pair("before", &before).finish()
    }

    /// The same filter from the newest row on.
    pub(super) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(name, _)| name != "before")).finish()
    }
}

#[derive(Template)]
#[template(path = "console/list.html")]
struct ListPage {
    page: Page,
    path: &'static str,
    csv_path: String,
    states: Vec<Option_>,
    windows: Vec<Option_>,
    fields: Vec<Input>,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    query: String,
    older: Option<String>,
    is_first: bool,
    is_filtered: bool,
    bulk: &'static [&'static str],
}

/// An option of a choice.
struct Option_ {
    value: String,
    label: String,
    is_chosen: bool,
}

struct Input {
    name: &'static str,
    label: &'static str,
    value: String,
}

pub(super) async fn show<L: List>(
    State(app): State<Arc<App>>,
    client: Client,
    RawQuery(query): RawQuery,
) -> Result<Response, ConsoleError> {
    let page = Page::new(&app, &client, Some(L::SECTION), L::title(client.language));
    let asked = FilterValues::read(query.as_deref());
    let mut rows = match asked.filter(page.now) {
        Some(filter) => L::rows(&mut *console::begin(&app.pool).await?, &filter).await?,
        None => Vec::new(),
    };
    let shown = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_more = rows.len() > shown;
    rows.truncate(shown);
    let older = rows.last().filter(|_| has_more).map(|row| asked.with_before(row.position));
    let language = client.language;
    let input = |field: &Field| Input {
        name: field.name(),
        label: field.label(language),
        value: asked.get(field.name()).unwrap_or_default().to_owned(),
    };
    render(&ListPage {
        path: L::PATH,
        csv_path: L::PATH.replace("/console/", "/console/csv/"),
        states: options(&asked, "state", L::STATES, language),
        windows: options(&asked, "since", WINDOWS, language),
        fields: L::FIELDS.iter().map(input).collect(),
        columns: L::columns(language),
        rows,
        query: asked.query(),
        older,
        is_first: asked.get("before").is_none(),
        is_filtered: !asked.query().is_empty(),
        bulk: L::BULK,
        page,
    })
}

const WINDOWS: &[(&str, Choice)] = &[
    ("1h", ("1시간", "1 hour")),
    ("24h", ("24시간", "24 hours")),
    ("7d", ("7일", "7 days")),
    ("30d", ("30일", "30 days")),
];

/// What may be chosen, and what the URL says besides.
fn options(asked: &FilterValues, name: &str, known: &[(&str, Choice)], language: Language) -> Vec<Option_> {
    let chosen = asked.get(name).unwrap_or_default();
    let any = ("", ("전체", "Any"));
    let listed = std::iter::once(&any).chain(known);
    let mut options: Vec<Option_> = listed
        .map(|(value, (korean, english))| Option_ {
            value: (*value).to_owned(),
            label: language.choose(korean, english).to_owned(),
            is_chosen: *value == chosen,
        })
        .collect();
    if !options.iter().any(|option| option.is_chosen) {
        options.push(Option_ { value: chosen.to_owned(), label: chosen.to_owned(), is_chosen: true });
    }
    options
}

/// The whole list as a file, piece by piece as the browser takes it.
pub(super) async fn csv<L: List>(
    State(app): State<Arc<App>>,
    client: Client,
    RawQuery(query): RawQuery,
) -> Result<Response, ConsoleError> {
    let asked = FilterValues::read(query.as_deref());
    let filter = asked.filter(app.clock.now()).map(|filter| Filter { limit: CSV_ROWS, ..filter });
    let mut head = BOM.to_owned();
    let columns = L::columns(client.language).into_iter().map(|column| Cell::Text(column.to_owned()));
    write_line(&mut head, &columns.collect::<Vec<_>>());
    let rest = stream::try_unfold(filter, move |filter| piece::<L>(Arc::clone(&app), filter));
    let head = stream::iter([Ok::<_, std::io::Error>(Bytes::from(head))]);
    let body = Body::from_stream(futures::StreamExt::chain(head, rest));
    let name = L::PATH.rsplit('/').next().unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    Ok((headers, body).into_response())
}

/// The next rows as text and the filter for those after them. None after the last.
async fn piece<L: List>(
    app: Arc<App>,
    filter: Option<Filter>,
) -> std::io::Result<Option<(Bytes, Option<Filter>)>> {
    let Some(filter) = filter else { return Ok(None) };
    let read = async {
        let mut tx = console::begin(&app.pool).await?;
        L::rows(&mut tx, &filter).await
    };
    let rows = read.await.map_err(|error| {
        // The status is out already: the browser sees a file that breaks off.
        tracing::warn!(%error, "a CSV file broke off");
        std::io::Error::other(error)
    })?;
    let mut text = String::new();
    for row in &rows {
        write_line(&mut text, &row.cells);
    }
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == filter.limit);
    let next = rows.last().filter(|_| is_full).map(|row| match row.position {
        Position::Number(number) => Filter { before_number: Some(number), ..filter },
        Position::Id(id) => Filter { before_id: Some(id), ..filter },
    });
    Ok(Some((Bytes::from(text), next)))
}

fn write_line(text: &mut String, cells: &[Cell]) {
    let fields: Vec<String> = cells.iter().map(csv_field).collect();
    text.push_str(&fields.join(","));
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Option<Filter> {
        FilterValues::read(Some(query)).filter(DateTime::UNIX_EPOCH + TimeDelta::days(10))
    }

    #[test]
    fn a_filter_is_read_from_the_url() {
        let read = filter("state=failed&kind=&since=24h&before=7").unwrap();
        assert_eq!((read.state.as_deref(), read.kind.as_deref()), (Some("failed"), None));
        assert_eq!(read.since, Some(DateTime::UNIX_EPOCH + TimeDelta::days(9)));
        assert_eq!((read.before_number, read.before_id), (Some(7), None));
        let date = filter("since=2026-11-29").unwrap().since.unwrap();
        assert_eq!(date.to_rfc3339(), "2026-11-28T15:00:00+00:00");
    }

    #[test]
    fn what_cannot_be_meant_matches_nothing() {
        for wrong in ["before=x", "subscription=sub_1", "since=x", "since=1y", "since=é", "until=99999999h"]
        {
            assert!(filter(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let asked = FilterValues::read(Some("state=failed&kind=a%20b&before=9"));
        assert_eq!(asked.with_before(Position::Number(5)), "state=failed&kind=a+b&before=5");
        assert_eq!(asked.query(), "state=failed&kind=a+b");
    }
}
