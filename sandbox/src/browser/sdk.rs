//! `GET /v2/standard`: the stand-in for `https://js.tosspayments.com/v2/standard`.

use axum::http::header;
use axum::response::IntoResponse;

pub(super) async fn standard() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // The SDK is loaded by pages of other origins, also with `crossorigin`.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, include_str!("standard.js"))
}
