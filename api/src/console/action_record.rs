//! One row of the operators' audit log: who did what, when, from where and why, with the target before and after.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use common::store::operator_actions::{ActionFilter, ActionRow};
use common::store::{console, operator_actions};

use super::act::{changes, page_of};
use super::action_words::label;
use super::failure::{ConsoleError, Failure};
use super::page::{Page, Section, render};
use super::session::Client;
use crate::app::App;

#[derive(Template)]
#[template(path = "console/action.html")]
struct ActionPage {
    page: Page,
    row: ActionRow,
    heading: &'static str,
    target_page: String,
    changes: Vec<(String, String, String)>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Path(id): Path<i64>,
) -> Result<Response, ConsoleError> {
    let filter = ActionFilter { before_id: id.checked_add(1), ..ActionFilter::default() };
    let rows = operator_actions::page(&mut *console::begin(&app.pool).await?, &filter, 1).await?;
    let row = rows.into_iter().next().filter(|row| row.id == id).ok_or(Failure::NotFound)?;
    let heading = label(&row.action, client.language);
    render(&ActionPage {
        page: Page::new(&app, &client, Some(Section::Actions), heading),
        heading,
        target_page: page_of(&row.target_kind, &row.target_id, row.subscription_id),
        changes: changes(&row.before, &row.after),
        row,
    })
}
