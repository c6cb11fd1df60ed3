//! Settings: one-time codes of an authenticator app as a second factor, set up and taken away by their operator.

use std::{fmt::Write, sync::Arc};

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use common::commands::second_factor;
use common::commands::second_factor::SecondFactorError;
use common::domain::totp::TotpSecret;
use common::store::operator_totp;
use qrcode::{Color, QrCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::act::actor;
use super::failure::{ConsoleError, Failure};
use super::login_attempts::Attempt;
use super::page::{Page, Section, render};
use super::session::{Client, Session};
use crate::app::App;

const PATH: &str = "/console/settings/second-factor";
/// Readers of QR codes need an empty border of four modules.
const QR_BORDER: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    WrongCode,
    Locked(DateTime<Utc>),
}

impl Notice {
    fn status(self) -> StatusCode {
        match self {
            Self::None => StatusCode::OK,
            Self::WrongCode => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Locked(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// What the page offers.
enum Offer {
    /// No key is configured that could seal a secret.
    Impossible,
    Off(Enrolment),
    /// How many recovery codes are unused.
    On(i64),
}

/// A secret that is not stored yet: it comes back with the first code.
struct Enrolment {
    secret: String,
    text: String,
    uri: String,
    qr: Qr,
}

/// A QR code as the path of an SVG.
struct Qr {
    side: usize,
    path: String,
}

#[derive(Template)]
#[template(path = "console/second_factor.html")]
struct SecondFactorPage {
    page: Page,
    state: Offer,
    notice: Notice,
}

#[derive(Template)]
#[template(path = "console/recovery_codes.html")]
struct RecoveryCodesPage {
    page: Page,
    codes: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct NewFactor {
    #[serde(deserialize_with = "super::password::secret")]
    secret: SecretString,
    code: String,
}

#[derive(Deserialize)]
pub(super) struct OldFactor {
    code: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    own: Session,
) -> Result<Response, ConsoleError> {
    page(&app, &client, &own, None, Notice::None).await
}

/// Shows how it stands; where none is set up, with `secret` or a new one.
async fn page(
    app: &App,
    client: &Client,
    own: &Session,
    secret: Option<TotpSecret>,
    notice: Notice,
) -> Result<Response, ConsoleError> {
    let mut conn = app.pool.acquire().await?;
    let state = if operator_totp::find(&mut conn, own.operator_id).await?.is_some() {
        Offer::On(operator_totp::unused_recovery_codes(&mut conn, own.operator_id).await?)
    } else if app.totp_keys.is_none() {
        Offer::Impossible
    } else {
        let secret = secret.map_or_else(second_factor::new_secret, Ok)?;
        Offer::Off(enrolment(&secret, &app.brand.name, &own.email)?)
    };
    let mut response = render(&SecondFactorPage { page: heading(app, client), state, notice })?;
    *response.status_mut() = notice.status();
    Ok(response)
}

fn heading(app: &App, client: &Client) -> Page {
    let title = client.language.choose("2단계 인증", "Second factor");
    Page::new(app, client, Some(Section::Settings), title)
}

fn enrolment(secret: &TotpSecret, issuer: &str, account: &str) -> Result<Enrolment, ConsoleError> {
    let uri = secret.uri(issuer, account);
    let secret_field = secret.to_base64().expose_secret().to_owned();
    Ok(Enrolment { secret: secret_field, text: secret.to_text(), qr: qr(&uri)?, uri })
}

/// One square per dark module.
fn qr(text: &str) -> Result<Qr, ConsoleError> {
    let code =
        QrCode::new(text.as_bytes()).map_err(|error| ConsoleError::internal(anyhow::anyhow!("{error}")))?;
    let width = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let dark = row.iter().enumerate().filter(|(_, color)| **color == Color::Dark);
        for (x, _) in dark {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", x + QR_BORDER, y + QR_BORDER);
        }
    }
    Ok(Qr { side: width + 2 * QR_BORDER, path })
}

pub(super) async fn turn_on(
    State(app): State<Arc<App>>,
    client: Client,
    own: Session,
    Form(form): Form<NewFactor>,
) -> Result<Response, ConsoleError> {
    let secret = TotpSecret::from_base64(form.secret.expose_secret()).ok_or(Failure::Malformed)?;
    let (by, now) = (actor(&own, &client), app.clock.now());
    let keys = app.totp_keys.as_deref();
    let turned = app
        .transaction(async |tx| {
            second_factor::turn_on(tx, keys, (&by, own.operator_id), (&secret, &form.code), now).await
        })
        .await;
    match turned {
        Ok(codes) => render(&RecoveryCodesPage { page: heading(&app, &client), codes }),
        Err(SecondFactorError::Wrong) => page(&app, &client, &own, Some(secret), Notice::WrongCode).await,
        // Set up in another window meanwhile: the page says so.
        Err(SecondFactorError::IsOn) => Ok(Redirect::to(PATH).into_response()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn turn_off(
    State(app): State<Arc<App>>,
    client: Client,
    own: Session,
    Form(form): Form<OldFactor>,
) -> Result<Response, ConsoleError> {
    // Whoever found an open session must not guess the code.
    let attempt = Attempt::new(&own.email, client.address);
    if let Some(until) = attempt.begin(&app).await? {
        return page(&app, &client, &own, None, Notice::Locked(until)).await;
    }
    let (by, now) = (actor(&own, &client), app.clock.now());
    let keys = app.totp_keys.as_deref();
    let turned = app
        .transaction::<_, SecondFactorError>(async |tx| {
            second_factor::turn_off(tx, keys, (&by, own.operator_id), &form.code, now).await?;
            attempt.succeeded(tx).await?;
            Ok(())
        })
        .await;
    match turned {
        Ok(()) => Ok(Redirect::to(PATH).into_response()),
        Err(SecondFactorError::Wrong) => page(&app, &client, &own, None, Notice::WrongCode).await,
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_one_square_per_dark_module() {
        let code = qr("otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=a").unwrap();
        // The corner of the first position mark, inside the border.
        assert!(code.path.starts_with("M4 4h1v1h-1z"), "{}", code.path);
        assert!(code.side > 2 * QR_BORDER + 20 && code.path.len() > 1_000);
    }
}
