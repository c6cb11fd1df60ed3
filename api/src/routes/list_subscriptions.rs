//! `GET /api/subscriptions`: the customer's own, newest first.

use std::sync::Arc;

use axum::{Json, extract::State};
use common::store::{subscriptions, users};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::Customer,
    error::ApiError,
    page::Page,
    views::{PendingChangeView, SubscriptionView},
};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionPage {
    success: bool,
    subscriptions: Vec<SubscriptionView>,
    /// For `?cursor=`; null on the last page.
    next_cursor: Option<String>,
}

/// The customer's subscriptions, newest first.
#[utoipa::path(
    get, path = "/api/subscriptions", tag = "subscriptions", security(("customer" = [])), params(Page),
    responses(
        (status = 200, description = "A page of them, newest first", body = SubscriptionPage),
        (status = 401, description = "No valid token"),
        (status = 422, description = "`invalid_field`: limit or cursor"),
        (status = 503, description = "The database is away"),
    )
)]
pub(crate) async fn list_subscriptions(
    State(app): State<Arc<App>>,
    customer: Customer,
    page: Page,
) -> Result<Json<SubscriptionPage>, ApiError> {
    let now = app.clock.now();
    let mut conn = app.pool.acquire().await?;
    users::make_if_missing(&mut conn, customer.id, now).await?;
    let mut rows = subscriptions::page_of_user(&mut conn, customer.id, page.cursor, page.rows()).await?;
    let next_cursor = page.cut(&mut rows, |it| (it.created_at, it.id));
    let mut pending = PendingChangeView::of(&mut conn, &rows).await?;
    let subscriptions =
        rows.iter().map(|it| SubscriptionView::of(it, now).changing(pending.remove(&it.id))).collect();
    Ok(Json(SubscriptionPage { success: true, subscriptions, next_cursor }))
}
