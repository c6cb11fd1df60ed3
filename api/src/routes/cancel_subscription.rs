//! `POST /api/subscriptions/cancel`: no charge begins after the answer; access runs to the end of what is paid.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use common::commands::cancel;
use common::commands::cancel::CancelSubscription;
use common::domain::validated::CancelReason;
use common::id::parse_subscription_ref;
use serde::Deserialize;
use utoipa::ToSchema;

use super::subscriptions::SubscriptionAnswer;
use crate::{
    app::App, caller::Customer, error::ApiError, problem::Problem, request::JsonBody, views::SubscriptionView,
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelBody {
    /// Any text: an id that cannot be one is not found.
    #[schema(example = "sub_0192f0c15c0070008000000000000001")]
    subscription_id: String,
    #[schema(value_type = Option<String>, max_length = 500, example = "서비스 불만족")]
    reason: Option<CancelReason>,
}

/// Cancels one of the customer's subscriptions.
#[utoipa::path(
    post, path = "/api/subscriptions/cancel", tag = "subscriptions", request_body = CancelBody,
    security(("customer" = [])),
    responses(
        (status = 200, description = "Canceled; `accessUntil` says how long it can be used", body = SubscriptionAnswer),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 409, description = "`already_canceled`: nothing is written"),
        (status = 413, description = "Larger than 16 KiB"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn cancel_subscription(
    State(app): State<Arc<App>>,
    customer: Customer,
    JsonBody(body): JsonBody<CancelBody>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let subscription_id = parse_subscription_ref(&body.subscription_id).ok_or(Problem::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let reason = body.reason.as_ref().map_or("", CancelReason::as_str);
    let request = CancelSubscription { subscription_id, user_id: Some(customer.id), actor: &actor, reason };
    let now = app.clock.now();
    let canceled =
        app.transaction(async |tx| cancel::cancel_subscription(tx, &app.brand, request, now).await).await?;
    Ok(Json(SubscriptionAnswer { success: true, subscription: SubscriptionView::new(&canceled, now) }))
}
