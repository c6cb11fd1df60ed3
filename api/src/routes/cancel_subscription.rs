//! `POST /api/subscriptions/cancel`: no charge begins after the answer; access runs to the end of what is paid.

use std::sync::Arc;

use axum::{Json, extract::State};
use common::{
    commands::cancel::{Wish, cancel_subscription as cancel},
    id::parse_subscription_ref,
};
use utoipa::ToSchema;

use super::show_subscription::SubscriptionAnswer;
use crate::{app::App, auth::Customer, body::Fields, error::ApiError, input, views::SubscriptionView};

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only described here: a body is read field by field, so that each mistake is named"
)]
pub(crate) struct CancelBody {
    #[schema(example = "sub_0192f0c15c0070008000000000000001")]
    subscription_id: String,
    #[schema(max_length = 500, example = "서비스 불만족")]
    reason: Option<String>,
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
    body: Fields,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let given = input::subscription_id(&body)?;
    let reason = input::reason(&body)?;
    let subscription_id = parse_subscription_ref(&given).ok_or(ApiError::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let wish = Wish { subscription_id, user_id: Some(customer.id), actor: &actor, reason: &reason };
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let canceled = cancel(&mut tx, &app.brand, wish, now).await?;
    tx.commit().await?;
    Ok(Json(SubscriptionAnswer { success: true, subscription: SubscriptionView::of(&canceled, now) }))
}
