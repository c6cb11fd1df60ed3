//! Who asks: customers by the login service's JWT, operators by their tokens, the daily cron by `CRON_SECRET`.

use std::{sync::Arc, time::Instant};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use common::domain::actor::{Actor, Channel};
use common::domain::operator::Role;
use common::secret_token;
use common::store::operators;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tracing::Span;
use tracing::field::display;
use uuid::Uuid;

use crate::{app::App, auth::TokenError, console::client_address, error::ApiError, problem::Problem};

/// A customer: whoever brings a token that the login service signed.
pub(crate) struct Customer {
    pub(crate) id: Uuid,
}

impl FromRequestParts<Arc<App>> for Customer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(Problem::Unauthorized)?;
        let id = app.auth.user(token).await.map_err(|error| match error {
            TokenError::Invalid(reason) => {
                tracing::debug!(%reason, "customer token refused");
                Problem::Unauthorized.into()
            }
            TokenError::KeysUnavailable(cause) => ApiError::unavailable(cause),
        })?;
        // Everything that is logged about this request from here on names the user.
        Span::current().record("user.id", display(id));
        Ok(Self { id })
    }
}

/// A customer who asks to buy, not too often. Extracted before the body, so that bodies that cannot be read count, too.
pub(crate) struct Buyer {
    pub(crate) id: Uuid,
}

impl FromRequestParts<Arc<App>> for Buyer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Customer { id } = Customer::from_request_parts(parts, app).await?;
        app.purchase_requests.check(id, Instant::now()).map_err(ApiError::too_many_requests)?;
        Ok(Self { id })
    }
}

/// An operator who may act: whoever brings a token whose hash is on record. A viewer is refused.
pub(crate) struct Operator {
    pub(crate) actor: Actor,
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(Problem::Unauthorized)?;
        // Only hashes are compared: how long a refusal takes tells nothing about a token.
        let hash = secret_token::hash(token);
        let operator = operators::find_by_token(&mut *app.pool.acquire().await?, &hash).await?;
        let operator = operator.ok_or(Problem::Unauthorized)?;
        if operator.role < Role::Operator {
            tracing::warn!(operator = operator.email, "a viewer's token was refused");
            return Err(Problem::Forbidden.into());
        }
        let address = client_address(&parts.headers, &parts.extensions).map(|ip| ip.to_string());
        Ok(Self { actor: Actor::operator(operator.id, &operator.email, Channel::Api, address) })
    }
}

/// The daily cron: whoever knows `CRON_SECRET`.
pub(crate) struct CronCaller;

impl FromRequestParts<Arc<App>> for CronCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let given = bearer(&parts.headers).unwrap_or_default();
        let secret = app.cron_secret.expose_secret();
        // In constant time, so that how long a refusal takes does not tell how much of a guess was right.
        let is_known = bool::from(given.as_bytes().ct_eq(secret.as_bytes()));
        if is_known && !secret.is_empty() { Ok(Self) } else { Err(Problem::Unauthorized.into()) }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
