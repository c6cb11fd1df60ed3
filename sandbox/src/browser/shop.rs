//! A shop's pages under `/checkout`, from a folder, with the two addresses they need: for demos only.

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::Shop;
use crate::refusal::Refusal;
use crate::script::Script;

/// Toss's public client keys, printed in its documentation.
const WIDGET_CLIENT_KEY: &str = "test_gck_docs_Ovk5rk1EwkEbP0W43n07xlzm";
const BILLING_CLIENT_KEY: &str = "test_ck_D5GePWvyJnrK0W0k6q8gLzN97Eoq";

/// Pages that e-mails link to, as the shop's own routes would have them.
const LINKED: [(&str, &str); 2] =
    [("billing/payment-method", "subscriptions"), ("billing/subscriptions/", "subscriptions")];

pub(super) async fn start(State(script): State<Script>) -> Result<Response, Refusal> {
    file(shop(&script)?, "index")
}

pub(super) async fn page(
    State(script): State<Script>,
    Path(page): Path<String>,
) -> Result<Response, Refusal> {
    let shop = shop(&script)?;
    if page == "config.js" {
        return Ok(answer(shop, "js", settings(shop).into_bytes()));
    }
    let linked = LINKED.iter().find(|(link, _)| page.starts_with(link)).map(|(_, name)| *name);
    file(shop, linked.unwrap_or(&page))
}

fn shop(script: &Script) -> Result<&Shop, Refusal> {
    script.config().shop.as_ref().ok_or_else(|| Refusal::of("NOT_FOUND"))
}

/// What the pages cannot know by themselves.
fn settings(shop: &Shop) -> String {
    let settings = json!({
        "api": shop.api.as_str().trim_end_matches('/'),
        "widgetClientKey": WIDGET_CLIENT_KEY,
        "billingClientKey": BILLING_CLIENT_KEY,
    });
    format!("window.CHECKOUT = {settings};\n")
}

/// One file of the folder itself; a name without an ending is a page.
fn file(shop: &Shop, name: &str) -> Result<Response, Refusal> {
    let (stem, kind) = name.split_once('.').unwrap_or((name, "html"));
    let is_plain = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if !is_plain || !matches!(kind, "html" | "css" | "js") {
        return Err(Refusal::of("NOT_FOUND"));
    }
    let bytes = std::fs::read(shop.folder.join(format!("{stem}.{kind}")));
    Ok(answer(shop, kind, bytes.map_err(|_| Refusal::of("NOT_FOUND"))?))
}

fn answer(shop: &Shop, kind: &str, bytes: Vec<u8>) -> Response {
    let media_type = match kind {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        _ => "text/html; charset=utf-8",
    };
    let api = shop.api.origin().ascii_serialization();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src {api}; base-uri 'none'; form-action 'self'"
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (StatusCode::OK, headers, bytes).into_response()
}
