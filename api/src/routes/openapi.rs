//! `GET /openapi.json`: this API, described for programs; `/docs` shows it to people.

use axum::{Json, response::IntoResponse};

use crate::openapi::document;

pub(crate) async fn show_openapi() -> impl IntoResponse {
    Json(document())
}
