//! A customer: whoever brings a token that the login service signed.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use uuid::Uuid;

use super::{bearer, token::Refused};
use crate::{app::App, edge::note_user, error::ApiError};

pub(crate) struct Customer {
    pub(crate) id: Uuid,
}

impl FromRequestParts<Arc<App>> for Customer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(ApiError::Unauthorized)?;
        let id = app.auth.user(token).await.map_err(|refused| match refused {
            Refused::Token(why) => {
                tracing::debug!(%why, "a token was refused");
                ApiError::Unauthorized
            }
            Refused::KeysAway(cause) => ApiError::Unavailable(cause),
        })?;
        note_user(id);
        Ok(Self { id })
    }
}
