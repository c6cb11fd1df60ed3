//! Actions on everything that matches a filter: the dry run with its confirmation, and how far the job has come.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawForm, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use common::commands::bulk;
use common::commands::bulk::{BulkError, BulkRequest};
use common::domain::actor::Reason;
use common::domain::bulk::{BulkAction, BulkFilter};
use common::id::new_key;
use common::store::bulk_actions::{BulkRow, SkippedItem};
use common::store::{StoreError, bulk_actions, console};
use uuid::Uuid;

use super::act::actor;
use super::action_words::label;
use super::failure::{ConsoleError, Failure};
use super::format;
use super::list::FilterValues;
use super::page::{Page, Section, render};
use super::session::{Client, Session};
use crate::app::App;

/// Names of a filter's fields in the URL: those of the lists that it is taken from.
const FIELDS: [&str; 5] = ["kind", "state", "cause", "since", "until"];
const SKIPPED_SHOWN: i64 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    WrongReason,
    /// More or fewer match than were shown.
    Changed,
    NothingToDo,
    TooMany,
}

#[derive(Template)]
#[template(path = "console/bulk.html")]
struct BulkPage {
    page: Page,
    label: &'static str,
    path: String,
    filter: Vec<(&'static str, String)>,
    total: i64,
    count: String,
    amount: String,
    left_out: Vec<(String, String)>,
    notice: Notice,
    reason: String,
    key: String,
}

/// The form of one bulk action.
struct Asking {
    action: BulkAction,
    filter: BulkFilter,
    given: FilterValues,
}

impl Asking {
    fn read(app: &App, action: &str, given: FilterValues) -> Result<Self, ConsoleError> {
        let action: BulkAction = action.parse().map_err(|_| Failure::NotFound)?;
        // A filter that cannot be meant must not become a wider one.
        let read = given.filter(app.clock.now()).ok_or(Failure::Malformed)?;
        let filter = BulkFilter {
            kind: read.kind,
            state: read.state.filter(|state| state != "attention"),
            error_group: read.cause,
            since: read.since,
            until: read.until,
        };
        Ok(Self { action, filter, given })
    }

    fn path(&self) -> String {
        format!("/console/bulk/{}", self.action)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let given = FIELDS.into_iter().filter_map(|name| Some((name, self.given.get(name)?.to_owned())));
        given.collect()
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Path(action): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ConsoleError> {
    let asking = Asking::read(&app, &action, FilterValues::read(query.as_deref()))?;
    form(&app, &client, &asking, Notice::None, String::new()).await
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    client: Client,
    session: Session,
    Path(action): Path<String>,
    RawForm(body): RawForm,
) -> Result<Response, ConsoleError> {
    let given = FilterValues::read(std::str::from_utf8(&body).ok());
    let reason_text = given.get("reason").unwrap_or_default().to_owned();
    let asking = Asking::read(&app, &action, given)?;
    let Ok(reason) = Reason::parse(&reason_text) else {
        return form(&app, &client, &asking, Notice::WrongReason, reason_text).await;
    };
    let by = actor(&session, &client);
    let request = BulkRequest {
        action: asking.action,
        filter: &asking.filter,
        actor: &by,
        reason: &reason,
        // Without the number that was shown nothing begins.
        seen: Some(asking.given.get("seen").and_then(|seen| seen.parse().ok()).unwrap_or(-1)),
        key: asking.given.get("key"),
    };
    let now = app.clock.now();
    let started = app.transaction(async |tx| bulk::start_bulk(tx, &request, now).await).await;
    let notice = match started {
        Ok(row) => return Ok(Redirect::to(&format!("/console/bulks/{}", row.id)).into_response()),
        Err(BulkError::NothingToDo) => Notice::NothingToDo,
        Err(BulkError::TooMany(_)) => Notice::TooMany,
        Err(BulkError::Changed { .. }) => Notice::Changed,
        Err(error) => return Err(failed(error)),
    };
    form(&app, &client, &asking, notice, reason_text).await
}

async fn form(
    app: &App,
    client: &Client,
    asking: &Asking,
    notice: Notice,
    reason: String,
) -> Result<Response, ConsoleError> {
    let dry_run =
        bulk::dry_run_bulk(&mut *console::begin(&app.pool).await?, asking.action, &asking.filter).await?;
    let label = label(asking.action.into(), client.language);
    let left_out = dry_run
        .left_out
        .into_iter()
        .map(|group| (group.why_not.unwrap_or_default(), format::count(group.count)));
    let mut response = render(&BulkPage {
        page: Page::new(app, client, None, label),
        label,
        path: asking.path(),
        filter: asking.fields(),
        total: dry_run.total,
        count: format::count(dry_run.total),
        amount: format::won(dry_run.amount),
        left_out: left_out.collect(),
        notice,
        reason,
        key: new_key().to_string(),
    })?;
    *response.status_mut() = match notice {
        Notice::None => StatusCode::OK,
        Notice::WrongReason => StatusCode::UNPROCESSABLE_ENTITY,
        Notice::Changed | Notice::NothingToDo | Notice::TooMany => StatusCode::CONFLICT,
    };
    Ok(response)
}

#[derive(Template)]
#[template(path = "console/bulk_progress.html")]
struct ProgressPage {
    page: Page,
    row: BulkRow,
    label: &'static str,
    filter: String,
    settled: i32,
    amount: String,
    skipped: Vec<SkippedItem>,
}

pub(super) async fn progress(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<Uuid>,
) -> Result<Response, ConsoleError> {
    let mut tx = console::begin(&app.pool).await?;
    let row = bulk_actions::find(&mut tx, id).await?.ok_or(Failure::NotFound)?;
    let skipped = bulk_actions::skipped_items(&mut tx, id, -1, SKIPPED_SHOWN).await?;
    drop(tx);
    let label = label(&row.action, client.language);
    render(&ProgressPage {
        page: Page::new(&app, &client, Some(Section::Actions), label),
        label,
        filter: row.filter.to_string(),
        settled: row.done.saturating_add(row.skipped),
        amount: format::won(row.amount),
        skipped,
        row,
    })
}

pub(super) async fn stop(
    State(app): State<Arc<App>>,
    client: Client,
    session: Session,
    Path(id): Path<Uuid>,
) -> Result<Redirect, ConsoleError> {
    let by = actor(&session, &client);
    let now = app.clock.now();
    let stopped = app.transaction(async |tx| bulk::stop_bulk(tx, id, &by, now).await).await;
    match stopped {
        // One that has ended meanwhile shows so.
        Ok(_) | Err(BulkError::Ended) => Ok(Redirect::to(&format!("/console/bulks/{id}"))),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: BulkError) -> ConsoleError {
    match error {
        BulkError::NotFound(_) => Failure::NotFound.into(),
        BulkError::Store(error) => error.into(),
        BulkError::Queue(error) => StoreError::from(error).into(),
        other => ConsoleError::internal(other),
    }
}
