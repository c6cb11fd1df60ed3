//! The one-time link: its operator sets a password and is logged in. Opening the link uses nothing up; the form does.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use common::{
    domain::operator::{MIN_PASSWORD_CHARS, is_password},
    secret_token,
    store::{login_failures, operator_sessions, operators},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    failure::ConsoleError,
    login::open_session,
    page::{Page, render},
    session::Client,
};
use crate::app::App;

#[derive(Deserialize)]
pub(super) struct NewPassword {
    #[serde(deserialize_with = "super::password::secret")]
    password: SecretString,
    #[serde(deserialize_with = "super::password::secret")]
    again: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    Unusable,
    Differ,
    /// Used before, or older than a day.
    Ended,
}

#[derive(Template)]
#[template(path = "console/link.html")]
struct LinkPage {
    page: Page,
    email: String,
    notice: Notice,
    min_chars: usize,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Path(token): Path<String>,
) -> Result<Response, ConsoleError> {
    let hash = secret_token::hash(&token);
    let operator = operators::find_by_link(&mut *app.pool.acquire().await?, &hash).await?;
    match operator {
        Some(operator) => link_page(&app, &client, operator.email, Notice::None),
        None => link_page(&app, &client, String::new(), Notice::Ended),
    }
}

pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    client: Client,
    Path(token): Path<String>,
    Form(form): Form<NewPassword>,
) -> Result<Response, ConsoleError> {
    let link = secret_token::hash(&token);
    let Some(operator) = operators::find_by_link(&mut *app.pool.acquire().await?, &link).await? else {
        return link_page(&app, &client, String::new(), Notice::Ended);
    };
    if form.password.expose_secret() != form.again.expose_secret() {
        return link_page(&app, &client, operator.email, Notice::Differ);
    }
    if !is_password(form.password.expose_secret()) {
        return link_page(&app, &client, operator.email, Notice::Unusable);
    }
    let hash = app.passwords.hash(form.password).await?;
    let cookie = app
        .transaction::<_, ConsoleError>(async |tx| {
            let Some(operator) = operators::set_password_by_link(tx, &link, &hash).await? else {
                return Ok(None);
            };
            // Whoever knew the old password is out.
            operator_sessions::end_all(tx, operator.id).await?;
            login_failures::forget(tx, &format!("account:{}", operator.email)).await?;
            open_session(&app, tx, &client, &operator).await.map(Some)
        })
        .await?;
    let Some(cookie) = cookie else {
        return link_page(&app, &client, String::new(), Notice::Ended);
    };
    tracing::info!(operator = operator.email, "an operator set a password");
    Ok((cookie, Redirect::to("/console")).into_response())
}

fn link_page(app: &App, client: &Client, email: String, notice: Notice) -> Result<Response, ConsoleError> {
    let mut page = Page::new(app, client, None, client.language.choose("비밀번호 설정", "Set a password"));
    // Whoever is logged in here may be somebody else.
    page.session = None;
    let mut response = render(&LinkPage { page, email, notice, min_chars: MIN_PASSWORD_CHARS })?;
    *response.status_mut() = match notice {
        Notice::None => StatusCode::OK,
        Notice::Unusable | Notice::Differ => StatusCode::UNPROCESSABLE_ENTITY,
        Notice::Ended => StatusCode::NOT_FOUND,
    };
    // The address is a secret: no page that is visited from here learns it.
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    Ok(response)
}
