//! `GET /docs`: this API, described for people. The page's files lie below `/docs/`.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

use crate::{error::ApiError, problem::Problem};

/// The page names its files relative to `/docs/`, and is shown one level above.
const BASE: &str = "<head>\n    <base href=\"docs/\" />";

pub(crate) async fn show_docs() -> Result<Html<String>, ApiError> {
    let page = file("index.html")?;
    Ok(Html(String::from_utf8_lossy(&page.bytes).replacen("<head>", BASE, 1)))
}

pub(crate) async fn show_docs_index() -> Result<Response, ApiError> {
    file("index.html").map(answer)
}

pub(crate) async fn show_docs_file(Path(path): Path<String>) -> Result<Response, ApiError> {
    file(&path).map(answer)
}

fn file(path: &str) -> Result<SwaggerFile<'static>, ApiError> {
    let found = serve(path, Arc::new(Config::from("/openapi.json")));
    let found = found.map_err(|error| ApiError::internal(anyhow::anyhow!("{error}")))?;
    Ok(found.ok_or(Problem::NotFound)?)
}

fn answer(file: SwaggerFile<'static>) -> Response {
    ([(CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response()
}
