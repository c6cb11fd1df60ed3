//! Gives every failed answer of the console its page, and every answer the headers that keep it safe.

use askama::Template;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use super::page::{Page, render};
use super::session::Client;
use crate::app::App;

/// Nothing from elsewhere, nothing inline, no frame around us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

#[derive(Template)]
#[template(path = "console/failure.html")]
struct FailurePage {
    page: Page,
    heading: &'static str,
    explanation: &'static str,
    retries: bool,
    after_form: bool,
}

/// Gives a failed answer its page, and every answer the headers that keep it safe.
pub(crate) fn finish(app: &App, client: &Client, method: &Method, response: Response) -> Response {
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/html")));
    let mut response = if (status.is_client_error() || status.is_server_error()) && !is_page {
        let failure = response.extensions().get::<Failure>().copied();
        failure_page(app, client, method, failure.unwrap_or_else(|| Failure::of_status(status)))
    } else {
        response
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        // Our own forms send the page they are on, to come back to after a login.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn failure_page(app: &App, client: &Client, method: &Method, failure: Failure) -> Response {
    let [heading, explanation] = failure.words().map(|(ko, en)| client.language.choose(ko, en));
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let page = FailurePage {
        page: Page::new(app, client, None, heading),
        heading,
        explanation,
        // A form is never sent again by itself.
        retries: failure == Failure::Unavailable && is_read,
        after_form: !is_read && matches!(failure, Failure::Unavailable | Failure::Internal),
    };
    let mut response = render(&page).unwrap_or_else(IntoResponse::into_response);
    *response.status_mut() = failure.status();
    if failure == Failure::Unavailable {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
