//! The style sheet and the script, compiled in. Their addresses carry a hash of their content, so browsers keep them for good.

use std::{fmt::Write, sync::LazyLock};

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::failure::{ConsoleError, Failure};

const CSS: &str = include_str!("../../assets/console.css");
const JS: &str = include_str!("../../assets/console.js");

static CSS_PATH: LazyLock<String> = LazyLock::new(|| path("css", CSS));
static JS_PATH: LazyLock<String> = LazyLock::new(|| path("js", JS));

pub(super) fn css_path() -> &'static str {
    &CSS_PATH
}

pub(super) fn js_path() -> &'static str {
    &JS_PATH
}

fn path(kind: &str, content: &str) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(content.as_bytes()).iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    format!("/console/assets/{hash}.{kind}")
}

pub(super) async fn show(Path(file): Path<String>) -> Result<Response, ConsoleError> {
    let asked = format!("/console/assets/{file}");
    let (kind, content) = match asked {
        asked if asked == css_path() => ("text/css; charset=utf-8", CSS),
        asked if asked == js_path() => ("text/javascript; charset=utf-8", JS),
        _ => return Err(Failure::NotFound.into()),
    };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, content).into_response())
}
