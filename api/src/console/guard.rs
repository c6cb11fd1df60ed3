//! Stands before every route of the console: where a form comes from, who is logged in, and whether their role suffices.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use common::domain::operator::Role;
use tracing::{Span, field::display};
use url::Url;

use super::{
    failure::{ConsoleError, Failure, finish},
    login::login_address,
    origin::is_own_form,
    routes::Access,
    session::{Client, Session},
};
use crate::app::App;

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
            refuse(session, needed, &method, &client)
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
    let location = location.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
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

fn refuse(session: &Session, needed: Role, method: &Method, client: &Client) -> Response {
    tracing::warn!(
        operator = session.email,
        role = %session.role,
        %needed,
        http.method = %method,
        path = client.location,
        "an operator's role did not suffice"
    );
    ConsoleError::from(Failure::Forbidden).into_response()
}
