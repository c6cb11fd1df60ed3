//! Extractors and answers of the scripting API: JSON both ways, mistakes included.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::refusal::{Language, Refusal};

const BODY_LIMIT_BYTES: usize = 1 << 20;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = Response::new(Body::from(self.body(Language::English)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

pub(crate) fn invalid_script(message: &str) -> Refusal {
    Refusal::new(400, "INVALID_SCRIPT", message)
}

/// The request's body as text, whatever its content type says (curl sends forms by default).
pub(crate) struct Text(pub(crate) String);

impl<S: Sync> FromRequest<S> for Text {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let bytes = axum::body::to_bytes(request.into_body(), BODY_LIMIT_BYTES)
            .await
            .map_err(|error| invalid_script(&error.to_string()))?;
        String::from_utf8(bytes.to_vec()).map(Self).map_err(|error| invalid_script(&error.to_string()))
    }
}

/// The request's body as JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Text(text) = Text::from_request(request, state).await?;
        serde_json::from_str(&text).map(Self).map_err(|error| invalid_script(&error.to_string()))
    }
}

/// The query string; unknown names are mistakes.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query =
            Query::<T>::try_from_uri(&parts.uri).map_err(|error| invalid_script(&error.body_text()))?;
        Ok(Self(query.0))
    }
}
