//! Settings: the language, the sessions, who the operators are, the switches, and the bound installation.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use common::commands::operate;
use common::store::operator_sessions::SessionRow;
use common::store::operators::OperatorRow;
use common::store::settings::ChargingSwitch;
use common::store::webhook_deliveries::WebhookEndpoint;
use common::store::{StoreError, gate, operator_sessions, operators, settings, webhook_deliveries};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::act::actor;
use super::failure::{ConsoleError, Failure};
use super::page::{Page, Section, render};
use super::session;
use super::session::{Client, Session};
use crate::app::App;
use crate::language::Language;

#[derive(Template)]
#[template(path = "console/settings.html")]
struct SettingsPage {
    page: Page,
    own: Session,
    sessions: Vec<SessionRow>,
    operators: Vec<OperatorRow>,
    has_totp: bool,
    charging: ChargingSwitch,
    events: WebhookEndpoint,
    instance: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    own: Session,
) -> Result<Response, ConsoleError> {
    let mut conn = app.pool.acquire().await?;
    let sessions = operator_sessions::list(&mut conn, Some(own.operator_id)).await?;
    let operators = operators::list(&mut conn).await?;
    let has_totp = operators.iter().any(|operator| operator.id == own.operator_id && operator.has_totp);
    let page = Page::of(&app, &client, Section::Settings);
    let charging = settings::charging_switch(&mut conn).await?;
    let events = webhook_deliveries::endpoint(&mut conn).await?;
    let instance = gate::read(&mut conn).await?.bound_to.map(|bound| bound.id);
    render(&SettingsPage { page, own, sessions, operators, has_totp, charging, events, instance })
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
    client: Client,
    own: Session,
    Path(id): Path<Uuid>,
) -> Result<Redirect, ConsoleError> {
    let (by, now) = (actor(&own, &client), app.clock.now());
    let ended = app.transaction::<_, StoreError>(async |tx| {
        if !operator_sessions::end(tx, id, Some(own.operator_id)).await? {
            return Ok(false);
        }
        let change = ("operator.end_session", own.operator_id, "ended by its operator");
        let states = (&json!({ "session": id, "ended": false }), &json!({ "session": id, "ended": true }));
        operate::record_operator(tx, &by, change, states, now).await?;
        Ok(true)
    });
    if !ended.await? {
        return Err(Failure::NotFound.into());
    }
    Ok(Redirect::to("/console/settings"))
}

/// Ends every session of an operator.
pub(super) async fn end_sessions_of(
    State(app): State<Arc<App>>,
    client: Client,
    own: Session,
    Path(id): Path<Uuid>,
) -> Result<Redirect, ConsoleError> {
    let (by, now) = (actor(&own, &client), app.clock.now());
    app.transaction::<_, StoreError>(async |tx| {
        let ended = operator_sessions::end_all(tx, id).await?;
        // Who has no session has lost none.
        if ended > 0 {
            let change = ("operator.end_sessions", id, "every session was ended by an admin");
            let states = (&json!({ "sessions": ended }), &json!({ "sessions": 0 }));
            operate::record_operator(tx, &by, change, states, now).await?;
        }
        Ok(())
    })
    .await?;
    Ok(Redirect::to("/console/settings"))
}
