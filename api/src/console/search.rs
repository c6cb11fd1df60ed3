//! The search: one hit leads straight to its page, several are listed.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use common::id::{parse_event_ref, parse_subscription_ref};
use common::store::console::search;
use common::store::console::search::Hit;
use common::store::{StoreError, console};
use serde::Deserialize;
use sqlx::PgConnection;

use super::cell::subscription_path;
use super::failure::ConsoleError;
use super::page::{Page, render};
use super::session::Client;
use crate::app::App;

/// Longer than anything that can be found.
const MAX_CHARS: usize = 320;
/// A shorter beginning of a name is half of all customers.
const MIN_NAME_CHARS: usize = 2;

#[derive(Deserialize)]
pub(super) struct Search {
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "console/search.html")]
struct SearchPage {
    page: Page,
    hits: Vec<Found>,
}

struct Found {
    hit: Hit,
    href: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    Query(Search { q }): Query<Search>,
) -> Result<Response, ConsoleError> {
    let text = q.unwrap_or_default().replace('\0', "");
    let text = text.trim().to_owned();
    let hits = if text.is_empty() || text.chars().count() > MAX_CHARS {
        Vec::new()
    } else {
        find(&mut *console::begin(&app.pool).await?, &text).await?
    };
    let hits: Vec<Found> = hits.into_iter().map(|hit| Found { href: page_of(&hit), hit }).collect();
    if let [only] = hits.as_slice() {
        return Ok(Redirect::to(&only.href).into_response());
    }
    let mut page = Page::new(&app, &client, None, client.language.choose("검색", "Search"));
    page.search = text;
    render(&SearchPage { page, hits })
}

/// What the text can be decides which indexes are asked.
async fn find(conn: &mut PgConnection, text: &str) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::new();
    if let Ok(number) = text.trim_start_matches('#').parse() {
        hits.extend(search::by_number(conn, number).await?);
    }
    if let Some(id) = parse_subscription_ref(text).or_else(|| parse_event_ref(text)) {
        hits.extend(search::by_id(conn, id).await?);
    }
    if !text.contains([' ', '@']) {
        hits.extend(search::by_key(conn, text).await?);
    }
    if text.chars().count() >= MIN_NAME_CHARS {
        hits.extend(search::by_customer(conn, text).await?);
    }
    Ok(hits)
}

fn page_of(hit: &Hit) -> String {
    let of_subscription = |anchor: &str| {
        hit.subscription_id
            .map_or_else(|| "/console".to_owned(), |id| format!("{}{anchor}", subscription_path(id)))
    };
    match hit.what.as_str() {
        "job" => format!("/console/jobs/{}", hit.id),
        "email" => format!("/console/emails/{}", hit.id),
        "webhook" => format!("/console/webhooks/in/{}", hit.id),
        "event" => format!("/console/webhooks/out/{}", hit.id),
        "payment" => of_subscription(&format!("#p-{}", hit.id)),
        "refund" => of_subscription(&format!("#r-{}", hit.id)),
        "invoice" => of_subscription(&format!("#i-{}", hit.id)),
        _ => of_subscription(""),
    }
}
