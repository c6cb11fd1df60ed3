//! `GET /api/subscriptions/{id}`: one of the customer's own.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use common::{domain::subscription::Subscription, id::parse_subscription_ref, store::subscriptions};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::Customer,
    error::ApiError,
    views::{PendingChangeView, SubscriptionView},
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionAnswer {
    pub(super) success: bool,
    pub(super) subscription: SubscriptionView,
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
    let subscription = own(&mut conn, &customer, &id).await?;
    answer(&mut conn, &subscription, app.clock.now()).await
}

/// The subscription with what is pending for it.
pub(super) async fn answer(
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let pending =
        PendingChangeView::of(conn, std::slice::from_ref(subscription)).await?.remove(&subscription.id);
    let view = SubscriptionView::of(subscription, now).changing(pending);
    Ok(Json(SubscriptionAnswer { success: true, subscription: view }))
}

/// The customer's own subscription of this id; that of another does not exist for them.
pub(super) async fn own(
    conn: &mut PgConnection,
    customer: &Customer,
    id: &str,
) -> Result<Subscription, ApiError> {
    let id = parse_subscription_ref(id).ok_or(ApiError::NotFound)?;
    let found = subscriptions::find(conn, id).await?;
    found.filter(|it| it.user_id == customer.id).ok_or(ApiError::NotFound)
}
