//! Settings: the language, the sessions, and who the operators are.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::header,
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use common::store::{
    StoreError,
    operator_sessions::{self, SessionRow},
    operators::{self, OperatorRow},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    failure::{ConsoleError, Failure},
    page::{Page, Section, render},
    session::{self, Client, Session},
};
use crate::{app::App, language::Language};

#[derive(Template)]
#[template(path = "console/settings.html")]
struct SettingsPage {
    page: Page,
    own: Session,
    sessions: Vec<SessionRow>,
    operators: Vec<OperatorRow>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    own: Session,
) -> Result<Response, ConsoleError> {
    let mut conn = app.pool.acquire().await?;
    let sessions = operator_sessions::list(&mut conn, Some(own.operator_id)).await?;
    let operators = operators::list(&mut conn).await?;
    render(&SettingsPage { page: Page::of(&app, &client, Section::Settings), own, sessions, operators })
}

#[derive(Deserialize)]
pub(super) struct LanguageForm {
    language: String,
}

pub(super) async fn choose_language(
    client: Client,
    Form(form): Form<LanguageForm>,
) -> Result<Response, ConsoleError> {
    let language = match form.language.as_str() {
        "ko" => Language::Korean,
        "en" => Language::English,
        _ => return Err(Failure::Malformed.into()),
    };
    let cookie = session::language_cookie(&client.headers, language).to_string();
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/console/settings")).into_response())
}

/// Ends a session of one's own.
pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    own: Session,
    Path(id): Path<Uuid>,
) -> Result<Redirect, ConsoleError> {
    let ended = app
        .transaction::<_, StoreError>(async |tx| operator_sessions::end(tx, id, Some(own.operator_id)).await)
        .await?;
    if !ended {
        return Err(Failure::NotFound.into());
    }
    Ok(Redirect::to("/console/settings"))
}

/// Ends every session of an operator.
pub(super) async fn end_sessions_of(
    State(app): State<Arc<App>>,
    own: Session,
    Path(id): Path<Uuid>,
) -> Result<Redirect, ConsoleError> {
    app.transaction::<_, StoreError>(async |tx| operator_sessions::end_all(tx, id).await).await?;
    tracing::info!(operator = own.email, other.id = %id, "an admin ended an operator's sessions");
    Ok(Redirect::to("/console/settings"))
}
