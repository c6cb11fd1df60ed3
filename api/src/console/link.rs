//! The one-time link: its operator sets a password and is logged in. Opening the link uses nothing up; the form does.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use common::commands::operate;
use common::commands::second_factor::SecondFactorError;
use common::domain::actor::{Actor, Channel};
use common::domain::operator::{MIN_PASSWORD_CHARS, Operator, is_password};
use common::secret_token;
use common::store::{operator_sessions, operator_totp, operators};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;

use super::failure::ConsoleError;
use super::login::{AdmitError, Proof, SessionCookie, admit};
use super::login_attempts::Attempt;
use super::page::{Page, render};
use super::session::Client;
use crate::app::App;

#[derive(Deserialize)]
pub(super) struct NewPassword {
    #[serde(deserialize_with = "super::password::secret")]
    password: SecretString,
    #[serde(deserialize_with = "super::password::secret")]
    again: SecretString,
    /// Of the authenticator app, or a recovery code, where the operator uses one.
    #[serde(default)]
    code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    Unusable,
    Differ,
    /// The one-time code.
    WrongCode,
    Locked(DateTime<Utc>),
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
    has_totp: bool,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Path(token): Path<String>,
) -> Result<Response, ConsoleError> {
    let hash = secret_token::hash(&token);
    match find(&app, &hash).await? {
        Some(holder) => link_page(&app, &client, &holder, Notice::None),
        None => ended_page(&app, &client),
    }
}

/// Whom a link is for.
struct Holder {
    operator: Operator,
    has_totp: bool,
}

impl Holder {
    /// Who has the link acts as its operator.
    fn actor(&self, client: &Client) -> Actor {
        let address = client.address.map(|ip| ip.to_string());
        Actor::operator(self.operator.id, &self.operator.email, Channel::Console, address)
    }
}

async fn find(app: &App, link_hash: &[u8]) -> Result<Option<Holder>, ConsoleError> {
    let mut conn = app.pool.acquire().await?;
    let Some(operator) = operators::find_by_link(&mut conn, link_hash).await? else { return Ok(None) };
    let has_totp = operator_totp::find(&mut conn, operator.id).await?.is_some();
    Ok(Some(Holder { operator, has_totp }))
}

pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    client: Client,
    Path(token): Path<String>,
    Form(form): Form<NewPassword>,
) -> Result<Response, ConsoleError> {
    let link = secret_token::hash(&token);
    let Some(holder) = find(&app, &link).await? else { return ended_page(&app, &client) };
    if form.password.expose_secret() != form.again.expose_secret() {
        return link_page(&app, &client, &holder, Notice::Differ);
    }
    if !is_password(form.password.expose_secret()) {
        return link_page(&app, &client, &holder, Notice::Unusable);
    }
    // Too many logins at once are no wrong code, so nothing is counted before.
    let hash = app.passwords.hash(form.password).await?;
    // Links travel by chat and e-mail: one that was read by somebody else does not replace the second factor.
    let attempt = Attempt::new(&holder.operator.email, client.address);
    if holder.has_totp
        && let Some(until) = attempt.begin(&app).await?
    {
        return link_page(&app, &client, &holder, Notice::Locked(until));
    }
    let proof = Proof { password_hash: &hash, code: &form.code, attempt: &attempt };
    let cookie =
        app.transaction(async |tx| use_link(&app, tx, &client, (&holder, &link, &proof)).await).await;
    match cookie {
        Ok(Some(cookie)) => {
            tracing::info!(operator = holder.operator.email, "an operator set a password");
            Ok((cookie, Redirect::to("/console")).into_response())
        }
        Ok(None) => ended_page(&app, &client),
        Err(AdmitError::SecondFactor(SecondFactorError::Wrong)) => {
            link_page(&app, &client, &holder, Notice::WrongCode)
        }
        Err(error) => Err(error.into()),
    }
}

/// Sets the password, ends every session and opens a new one: all of it, or nothing. None: the link has ended.
async fn use_link(
    app: &App,
    conn: &mut PgConnection,
    client: &Client,
    (holder, link, proof): (&Holder, &[u8], &Proof<'_>),
) -> Result<Option<SessionCookie>, AdmitError> {
    let Some(operator) = operators::set_password_by_link(conn, link, proof.password_hash).await? else {
        return Ok(None);
    };
    // Whoever knew the old password is out.
    let ended = operator_sessions::end_all(conn, operator.id).await?;
    let change = ("operator.password", operator.id, "set by the one-time link");
    let states = (
        &json!({ "oneTimeLink": true, "sessions": ended }),
        &json!({ "oneTimeLink": false, "sessions": 1, "password": true }),
    );
    operate::record_operator(conn, &holder.actor(client), change, states, app.clock.now()).await?;
    admit(app, conn, client, (&operator, proof)).await.map(Some)
}

fn ended_page(app: &App, client: &Client) -> Result<Response, ConsoleError> {
    page(app, client, (String::new(), false), Notice::Ended)
}

fn link_page(app: &App, client: &Client, holder: &Holder, notice: Notice) -> Result<Response, ConsoleError> {
    page(app, client, (holder.operator.email.clone(), holder.has_totp), notice)
}

fn page(
    app: &App,
    client: &Client,
    (email, has_totp): (String, bool),
    notice: Notice,
) -> Result<Response, ConsoleError> {
    let mut page = Page::new(app, client, None, client.language.choose("비밀번호 설정", "Set a password"));
    // Whoever is logged in here may be somebody else.
    page.session = None;
    let mut response = render(&LinkPage { page, email, notice, min_chars: MIN_PASSWORD_CHARS, has_totp })?;
    *response.status_mut() = match notice {
        Notice::None => StatusCode::OK,
        Notice::Unusable | Notice::Differ => StatusCode::UNPROCESSABLE_ENTITY,
        Notice::WrongCode => StatusCode::UNAUTHORIZED,
        Notice::Locked(_) => StatusCode::TOO_MANY_REQUESTS,
        Notice::Ended => StatusCode::NOT_FOUND,
    };
    // The address is a secret: no page that is visited from here learns it.
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    Ok(response)
}
