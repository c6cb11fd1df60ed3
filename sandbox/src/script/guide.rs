//! `GET /sandbox`: every scripting call with an example to paste.

use axum::http::header;
use axum::response::IntoResponse;

pub(super) async fn guide() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], include_str!("guide.txt"))
}
