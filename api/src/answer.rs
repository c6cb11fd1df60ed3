//! What a confirmation is answered, at once or when asked again: one mapping from the payment on record.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    domain::payment::{Payment, PaymentStatus},
    store::subscriptions,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    error::ApiError,
    views::{NextAction, SubscriptionView, next_action},
};

/// Seconds until it is worth asking again.
const ASK_AGAIN_SECS: u16 = 2;

/// The payment is captured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Confirmed {
    success: bool,
    subscription: SubscriptionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
}

/// The payment is on record and has not settled yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Processing {
    success: bool,
    #[schema(example = "processing")]
    status: &'static str,
    /// Where to ask again; also in `Location`.
    #[schema(example = "/api/payments/confirm/ORDER_1729657033847")]
    status_url: String,
}

pub(crate) async fn answer(app: &App, attempt: Payment) -> Result<Response, ApiError> {
    match attempt.status {
        PaymentStatus::Pending | PaymentStatus::Unknown => processing(&attempt.order_id),
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => {
            confirmed(app, attempt.subscription_id).await
        }
        PaymentStatus::Failed => Err(failed(attempt)),
    }
}

fn processing(order_id: &str) -> Result<Response, ApiError> {
    processing_at(format!("/api/payments/confirm/{order_id}"))
}

/// It is on record; where to ask again.
pub(crate) fn processing_at(status_url: String) -> Result<Response, ApiError> {
    let location = HeaderValue::from_str(&status_url).map_err(|error| ApiError::Internal(error.into()))?;
    let headers = [(header::LOCATION, location), (header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_SECS))];
    let body = Json(Processing { success: true, status: "processing", status_url });
    Ok((StatusCode::ACCEPTED, headers, body).into_response())
}

pub(crate) async fn confirmed(app: &App, subscription_id: Uuid) -> Result<Response, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let subscription = subscriptions::find(&mut conn, subscription_id)
        .await?
        .ok_or_else(|| ApiError::Internal(anyhow::anyhow!("there is no subscription {subscription_id}")))?;
    let body = Confirmed {
        success: true,
        subscription: SubscriptionView::of(&subscription, app.clock.now()),
        next_action: next_action(&subscription),
    };
    Ok(Json(body).into_response())
}

/// A decline has the bank's reason; what failed without one was withdrawn, and took no money.
fn failed(attempt: Payment) -> ApiError {
    match (attempt.decline_kind, attempt.toss_code) {
        (Some(_), Some(code)) => ApiError::Declined {
            code,
            message: attempt.toss_message.unwrap_or_else(|| "결제가 거절되었습니다.".to_owned()),
            // A confirmation that was declined leaves no subscription.
            subscription: None,
        },
        (_, code) => ApiError::PaymentCanceled { code },
    }
}
