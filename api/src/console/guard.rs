//! Stands before every route of the console: where a form comes from, who is logged in, and whether their role suffices.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use common::commands::operate;
use common::domain::actor::Reason;
use common::domain::operator::Role;
use common::store::operator_actions::NewAction;
use tracing::Span;
use tracing::field::display;
use url::Url;

use super::act::{actor, target_of};
use super::cell::escape;
use super::failure::{ConsoleError, Failure};
use super::failure_page::finish;
use super::login::login_address;
use super::origin::is_own_form;
use super::session::{Client, Session};
use crate::app::App;

/// Longer than any path of ours.
const MAX_PATH_CHARS: usize = 200;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Files that are the same for everybody.
    Asset,
    /// Pages before the login.
    Anyone,
    /// Operators with this role or a higher one.
    Role(Role),
}

#[derive(Clone)]
pub(super) struct Guard {
    pub(super) app: Arc<App>,
    pub(super) access: Access,
}

pub(super) async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Guard { app, access } = guard;
    let method = request.method().clone();
    let mut client = Client::of(request.headers(), request.extensions(), request.uri());
    if access == Access::Asset {
        return finish(&app, &client, &method, next.run(request).await);
    }
    let is_read = matches!(method, Method::GET | Method::HEAD);
    if !is_read && !is_own_form(&client.headers) {
        tracing::warn!("a form from elsewhere was refused");
        return finish(&app, &client, &method, ConsoleError::from(Failure::ForeignForm).into_response());
    }
    match Session::find(&app, &client.headers).await {
        Ok(session) => client.session = session,
        Err(error) => {
            return finish(&app, &client, &method, ConsoleError::from(error).into_response());
        }
    }
    let response = match (access, &client.session) {
        (Access::Role(_), None) => log_in_first(&client, is_read),
        (Access::Role(needed), Some(session)) if session.role < needed => {
            refuse(&app, session, needed, &method, &client).await
        }
        (Access::Role(_) | Access::Anyone | Access::Asset, session) => {
            if let Some(session) = session {
                Span::current().record("user.id", display(session.operator_id));
                request.extensions_mut().insert(session.clone());
            }
            next.run(request).await
        }
    };
    finish(&app, &client, &method, response)
}

/// A page comes back by itself after the login; after a form, the page on which it stood.
fn log_in_first(client: &Client, is_read: bool) -> Response {
    if is_read && came_from_elsewhere(&client.headers) {
        return again_from_here(&client.location);
    }
    let back = if is_read { Some(client.location.clone()) } else { referring_page(&client.headers) };
    Redirect::to(&login_address(back.as_deref())).into_response()
}

/// Strict cookies are not sent where a link on another site leads here: the operator may be logged in all the same.
fn came_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    matches!(site, Some("cross-site" | "same-site"))
}

/// The same page once more, asked for by ourselves: then the cookie is sent.
fn again_from_here(location: &str) -> Response {
    let location = escape(location);
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={location}\"><title>…</title>"
    );
    (StatusCode::OK, Html(page)).into_response()
}

fn referring_page(headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let url = Url::parse(referer).ok()?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", url.path()))
}

async fn refuse(app: &App, session: &Session, needed: Role, method: &Method, client: &Client) -> Response {
    tracing::warn!(
        operator = session.email,
        role = %session.role,
        %needed,
        http.method = %method,
        path = client.location,
        "an operator's role did not suffice"
    );
    if *method == Method::POST
        && let Err(error) = record_refusal(app, session, needed, client).await
    {
        tracing::error!(?error, "a refused action could not be recorded");
    }
    ConsoleError::from(Failure::Forbidden).into_response()
}

/// What was tried without the role for it is on record, as what was done is.
async fn record_refusal(
    app: &App,
    session: &Session,
    needed: Role,
    client: &Client,
) -> Result<(), ConsoleError> {
    let path = client.location.split('?').next().unwrap_or_default();
    let path: String = path.chars().take(MAX_PATH_CHARS).collect();
    let text = format!("{path} is for {needed}, not for {}", session.role);
    let Ok(reason) = Reason::parse(&text) else { return Ok(()) };
    let nothing = serde_json::Value::Object(serde_json::Map::new());
    let target = target_of(&path);
    let action = NewAction {
        actor: &actor(session, client),
        action: "access.refused",
        target_kind: target.kind(),
        target_id: &target.id(),
        subscription_id: None,
        reason: &reason,
        before: &nothing,
        after: &nothing,
        request_key: None,
        bulk_id: None,
    };
    let now = app.clock.now();
    app.transaction::<_, ConsoleError>(async |tx| {
        operate::record(tx, &action, now).await.map(drop).map_err(ConsoleError::from)
    })
    .await
}
