//! The daily cron: whoever knows `CRON_SECRET`.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::bearer;
use crate::{app::App, error::ApiError};

/// Proof that the caller knows the secret.
pub(crate) struct CronCaller;

impl FromRequestParts<Arc<App>> for CronCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let given = bearer(&parts.headers).unwrap_or_default();
        let secret = app.cron_secret.expose_secret();
        // In constant time, so that how long a refusal takes does not tell how much of a guess was right.
        let is_known = bool::from(given.as_bytes().ct_eq(secret.as_bytes()));
        if is_known && !secret.is_empty() { Ok(Self) } else { Err(ApiError::Unauthorized) }
    }
}
