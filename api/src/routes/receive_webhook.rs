//! `POST /api/webhooks/toss`: keeps what Toss, or anybody, sends, and answers at once. Nothing in it is believed.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use common::commands::receive_webhook as command;
use common::commands::receive_webhook::Arrival;

use crate::{app::App, error::ApiError, request::read_body};

/// Several times what a payment with all its cancels takes.
pub(crate) const MAX_WEBHOOK_BYTES: usize = 64 * 1024;

/// Takes any body. Toss counts exactly 200 as delivered and sends again otherwise, for almost four days.
#[utoipa::path(
    post, path = "/api/webhooks/toss", tag = "webhooks",
    request_body(content = String, content_type = "application/json", description = "An event as Toss sends it"),
    params(
        ("tosspayments-webhook-transmission-id" = Option<String>, Header, description = "The same id is kept once"),
    ),
    responses(
        (status = 200, description = "On record, now or before; acted on later, after reading the payment back"),
        (status = 413, description = "More than 64 KiB"),
        (status = 429, description = "Too many events from one address in a minute; send it again"),
        (status = 503, description = "The database is away; send it again"),
    )
)]
pub(crate) async fn receive_webhook(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let sender = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    if let Some(address) = sender.map(|sender| sender.ip()) {
        app.webhooks.check(address, Instant::now()).map_err(ApiError::too_many_requests)?;
    }
    let headers = request.headers().clone();
    let body = read_body(request, &app).await?.to_vec();
    let arrival = Arrival {
        transmission_id: header_text(&headers, "tosspayments-webhook-transmission-id"),
        transmission_time: header_text(&headers, "tosspayments-webhook-transmission-time"),
        retried_count: header_text(&headers, "tosspayments-webhook-transmission-retried-count"),
        content_type: header_text(&headers, header::CONTENT_TYPE.as_str()),
        sender: sender.map(|sender| sender.to_string()),
        forwarded_for: header_text(&headers, "x-forwarded-for"),
        body,
    };
    let now = app.clock.now();
    let received = app.transaction(async |tx| command::receive_webhook(tx, &arrival, now).await).await?;
    let is_new = received.is_some();
    tracing::info!(webhook.id = received.map(tracing::field::display), is_new, "webhook received");
    Ok(StatusCode::OK)
}

/// The header as it came, oddities replaced.
fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
