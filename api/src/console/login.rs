//! Logging in and out.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use common::commands::second_factor;
use common::commands::second_factor::SecondFactorError;
use common::domain::operator::Operator;
use common::id::new_id;
use common::secret_token;
use common::store::operator_sessions::NewSession;
use common::store::{StoreError, operator_sessions, operators};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded;

use super::failure::ConsoleError;
use super::login_attempts::Attempt;
use super::page::{Page, render};
use super::session;
use super::session::{Client, Session};
use crate::app::App;

/// RFC 5321: 64 of the local part, the sign, 255 of the domain.
const MAX_EMAIL_BYTES: usize = 320;
/// More than any honest header has.
const MAX_USER_AGENT_CHARS: usize = 300;

#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    email: String,
    #[serde(deserialize_with = "super::password::secret")]
    password: SecretString,
    /// Of the authenticator app, or a recovery code; empty where the operator uses none.
    #[serde(default)]
    code: String,
    next: Option<String>,
}

/// What the page says above the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    Wrong,
    Locked(DateTime<Utc>),
}

#[derive(Template)]
#[template(path = "console/login.html")]
struct LoginPage {
    page: Page,
    email: String,
    next: String,
    notice: Notice,
}

/// The login page that leads to `next`.
pub(super) fn login_address(next: Option<&str>) -> String {
    let next = next.filter(|next| is_own_page(next) && *next != "/console");
    next.map_or_else(
        || "/console/login".to_owned(),
        |next| {
            format!(
                "/console/login?next={}",
                form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()
            )
        },
    )
}

/// Only a page of the console is led to, never another site.
fn is_own_page(path: &str) -> bool {
    crate::console::is_console(path.split('?').next().unwrap_or_default())
        && !path.starts_with("/console/login")
        && !path.contains(|c: char| c == '\\' || c.is_control())
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Query(Next { next }): Query<Next>,
) -> Result<Response, ConsoleError> {
    let next = next.filter(|next| is_own_page(next)).unwrap_or_else(|| "/console".to_owned());
    if client.session.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    login_page(&app, &client, String::new(), next, Notice::None)
}

fn login_page(
    app: &App,
    client: &Client,
    email: String,
    next: String,
    notice: Notice,
) -> Result<Response, ConsoleError> {
    let page = Page::new(app, client, None, client.language.choose("로그인", "Log in"));
    let mut response = render(&LoginPage { page, email, next, notice })?;
    *response.status_mut() = match notice {
        Notice::None => StatusCode::OK,
        Notice::Wrong => StatusCode::UNAUTHORIZED,
        Notice::Locked(_) => StatusCode::TOO_MANY_REQUESTS,
    };
    Ok(response)
}

pub(super) async fn log_in(
    State(app): State<Arc<App>>,
    client: Client,
    Form(form): Form<Credentials>,
) -> Result<Response, ConsoleError> {
    let email = form.email.trim().to_lowercase();
    let next = form.next.filter(|next| is_own_page(next)).unwrap_or_else(|| "/console".to_owned());
    // No operator has such an address, and PostgreSQL could not keep it among the failures.
    if email.contains('\0') || email.len() > MAX_EMAIL_BYTES {
        return login_page(&app, &client, email, next, Notice::Wrong);
    }
    let attempt = Attempt::new(&email, client.address);
    if let Some(until) = attempt.begin(&app).await? {
        return login_page(&app, &client, email, next, Notice::Locked(until));
    }
    let login = operators::find_login(&mut *app.pool.acquire().await?, &email).await?;
    let hash = login.as_ref().and_then(|login| login.password_hash.clone());
    let is_right = app.passwords.verify(form.password, hash.clone()).await?;
    let opened = match (login, hash) {
        (Some(login), Some(hash)) if is_right => {
            let proof = Proof { password_hash: &hash, code: &form.code, attempt: &attempt };
            app.transaction(async |tx| admit(&app, tx, &client, (&login.operator, &proof)).await).await
        }
        _ => Err(AdmitError::SecondFactor(SecondFactorError::Wrong)),
    };
    match opened {
        Ok(cookie) => {
            tracing::info!(operator = email, "an operator logged in");
            Ok((cookie, Redirect::to(&next)).into_response())
        }
        // Whoever guesses does not learn which of the three was wrong.
        Err(AdmitError::SecondFactor(SecondFactorError::Wrong)) => {
            tracing::warn!(
                address = client.address.map(|ip| ip.to_string()),
                "a login of the console failed"
            );
            login_page(&app, &client, email, next, Notice::Wrong)
        }
        Err(error) => Err(error.into()),
    }
}

/// Why an operator with the right password got no session.
#[derive(Debug)]
pub(super) enum AdmitError {
    SecondFactor(SecondFactorError),
    Console(ConsoleError),
}

impl From<SecondFactorError> for AdmitError {
    fn from(error: SecondFactorError) -> Self {
        Self::SecondFactor(error)
    }
}

impl From<StoreError> for AdmitError {
    fn from(error: StoreError) -> Self {
        Self::Console(error.into())
    }
}

impl From<AdmitError> for ConsoleError {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::SecondFactor(error) => error.into(),
            AdmitError::Console(error) => error,
        }
    }
}

/// What an operator has shown.
pub(super) struct Proof<'a> {
    /// The hash that the given password fits.
    pub(super) password_hash: &'a str,
    pub(super) code: &'a str,
    pub(super) attempt: &'a Attempt,
}

/// Checks the second factor and opens the session, both or neither: a code is used up by the login that it opened.
pub(super) async fn admit(
    app: &App,
    conn: &mut sqlx::PgConnection,
    client: &Client,
    (operator, proof): (&Operator, &Proof<'_>),
) -> Result<SessionCookie, AdmitError> {
    let Proof { password_hash, code, attempt } = *proof;
    // While the password was checked the operator may have been disabled, or given another. The operator's row is locked
    // before the second factor's, by everybody.
    if !operators::hold_login(conn, operator.id, password_hash).await? {
        return Err(SecondFactorError::Wrong.into());
    }
    second_factor::check(conn, app.totp_keys.as_deref(), operator.id, code).await?;
    attempt.succeeded(conn).await?;
    open_session(app, conn, client, operator).await.map_err(AdmitError::Console)
}

/// The header that gives the browser its session.
pub(super) type SessionCookie = AppendHeaders<[(header::HeaderName, String); 1]>;

/// Opens a session of `operator`. Its token is known to the browser alone.
pub(super) async fn open_session(
    app: &App,
    conn: &mut sqlx::PgConnection,
    client: &Client,
    operator: &Operator,
) -> Result<SessionCookie, ConsoleError> {
    let token = secret_token::new_token("").map_err(ConsoleError::internal)?;
    let address = client.address.map(|ip| ip.to_string());
    let user_agent = user_agent(&client.headers);
    let new = NewSession {
        id: new_id(app.clock.now()),
        operator_id: operator.id,
        token_hash: &secret_token::hash(token.expose_secret()),
        address: address.as_deref(),
        user_agent: user_agent.as_deref(),
    };
    operator_sessions::open(conn, new).await?;
    Ok(AppendHeaders([(header::SET_COOKIE, session::cookie(&client.headers, &token).to_string())]))
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(MAX_USER_AGENT_CHARS).collect())
}

pub(super) async fn log_out(
    State(app): State<Arc<App>>,
    session: Session,
    headers: HeaderMap,
) -> Result<Response, ConsoleError> {
    app.transaction::<_, StoreError>(async |tx| operator_sessions::end(tx, session.id, None).await).await?;
    let removal = AppendHeaders([(header::SET_COOKIE, session::removal(&headers).to_string())]);
    Ok((removal, Redirect::to("/console/login")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_back_to_the_console_and_nowhere_else() {
        assert_eq!(
            login_address(Some("/console/jobs?a=1&b=2")),
            "/console/login?next=%2Fconsole%2Fjobs%3Fa%3D1%26b%3D2"
        );
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/api/plans",
            "/consoleevil",
            "/console/login?next=x",
            "/console/\\evil",
        ] {
            assert!(!is_own_page(elsewhere), "{elsewhere}");
        }
        for own in ["/console", "/console?x=//y", "/console/jobs/1"] {
            assert!(is_own_page(own), "{own}");
        }
    }
}
