//! `GET /api/subscriptions`: the customer's own, newest first. `GET /api/subscriptions/{id}`: one of them.

use std::{slice, sync::Arc};

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use common::domain::subscription::Subscription;
use common::id::parse_subscription_ref;
use common::store::{subscriptions, users};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Customer;
use crate::error::ApiError;
use crate::page::Page;
use crate::problem::Problem;
use crate::views::{PendingChangeView, SubscriptionView};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionPage {
    success: bool,
    subscriptions: Vec<SubscriptionView>,
    /// For `?cursor=`; null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionAnswer {
    pub(super) success: bool,
    pub(super) subscription: SubscriptionView,
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
    let next_cursor = page.paginate(&mut rows, |row| (row.created_at, row.id));
    let mut pending = PendingChangeView::of(&mut conn, &rows).await?;
    let view = |row: &Subscription| SubscriptionView::new(row, now).with_pending(pending.remove(&row.id));
    let subscriptions = rows.iter().map(view).collect();
    Ok(Json(SubscriptionPage { success: true, subscriptions, next_cursor }))
}

/// One of the customer's subscriptions.
#[utoipa::path(
    get, path = "/api/subscriptions/{id}", tag = "subscriptions", security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "As it is now", body = SubscriptionAnswer),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 503, description = "The database is away"),
    )
)]
pub(crate) async fn show_subscription(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let subscription = find_own(&mut conn, &customer, &id).await?;
    answer_subscription(&mut conn, &subscription, app.clock.now()).await
}

/// The subscription with what is pending for it.
pub(super) async fn answer_subscription(
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let pending = PendingChangeView::of(conn, slice::from_ref(subscription)).await?.remove(&subscription.id);
    let view = SubscriptionView::new(subscription, now).with_pending(pending);
    Ok(Json(SubscriptionAnswer { success: true, subscription: view }))
}

/// The customer's own subscription of this id; that of another does not exist for them.
pub(super) async fn find_own(
    conn: &mut PgConnection,
    customer: &Customer,
    id: &str,
) -> Result<Subscription, ApiError> {
    let id = parse_subscription_ref(id).ok_or(Problem::NotFound)?;
    let found = subscriptions::find(conn, id).await?;
    Ok(found.filter(|subscription| subscription.user_id == customer.id).ok_or(Problem::NotFound)?)
}
