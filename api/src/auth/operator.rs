//! An operator: whoever brings a token whose hash is on record.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use common::store::operators;
use sha2::{Digest, Sha256};

use super::bearer;
use crate::{app::App, error::ApiError};

pub(crate) struct Operator {
    pub(crate) email: String,
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(ApiError::Unauthorized)?;
        // Only hashes are compared: how long a refusal takes tells nothing about a token.
        let hash = Sha256::digest(token.as_bytes());
        let email = operators::email_of(&mut *app.pool.acquire().await?, &hash).await?;
        Ok(Self { email: email.ok_or(ApiError::Unauthorized)? })
    }
}
