//! What a purchase or a new card is answered, at once or when asked again: one mapping from the row on record.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    domain::{
        payment::{Payment, PaymentStatus},
        registration::{Registration, RegistrationStatus},
    },
    id::subscription_ref,
    store::subscriptions,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    error::ApiError,
    problem::Problem,
    views::{NextAction, SubscriptionView, next_action},
};

/// When it is worth asking again.
const RETRY_AFTER_SECS: u16 = 2;

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

/// The answer to a first payment.
pub(crate) async fn answer_payment(app: &App, payment: Payment) -> Result<Response, ApiError> {
    match payment.status {
        PaymentStatus::Pending | PaymentStatus::Unknown => {
            processing(format!("/api/payments/confirm/{}", payment.order_id))
        }
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => {
            confirmed(app, payment.subscription_id).await
        }
        PaymentStatus::Failed => Err(failed(payment)),
    }
}

/// The answer to a registered card.
pub(crate) async fn answer_registration(app: &App, card: Registration) -> Result<Response, ApiError> {
    let id = subscription_ref(card.subscription_id);
    match card.status {
        RegistrationStatus::Pending
        | RegistrationStatus::Unknown
        | RegistrationStatus::Issued
        | RegistrationStatus::Verifying => processing(format!("/api/subscriptions/{id}/payment-method")),
        RegistrationStatus::Applied => confirmed(app, card.subscription_id).await,
        RegistrationStatus::Refused => Err(refused(card, id)),
        RegistrationStatus::Dropped => Err(ApiError::payment_canceled(None)),
    }
}

fn processing(status_url: String) -> Result<Response, ApiError> {
    let location = HeaderValue::from_str(&status_url).map_err(ApiError::internal)?;
    let headers = [(header::LOCATION, location), (header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECS))];
    let body = Json(Processing { success: true, status: "processing", status_url });
    Ok((StatusCode::ACCEPTED, headers, body).into_response())
}

async fn confirmed(app: &App, subscription_id: Uuid) -> Result<Response, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let found = subscriptions::find(&mut conn, subscription_id).await?;
    let subscription = found
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("there is no subscription {subscription_id}")))?;
    let body = Confirmed {
        success: true,
        subscription: SubscriptionView::new(&subscription, app.clock.now()),
        next_action: next_action(&subscription),
    };
    Ok(Json(body).into_response())
}

/// A decline has the bank's reason; what failed without one was withdrawn, and took no money.
fn failed(payment: Payment) -> ApiError {
    match (payment.decline_kind, payment.toss_code) {
        (Some(_), Some(code)) => {
            let message =
                payment.toss_message.unwrap_or_else(|| Problem::PaymentDeclined.row().ko.to_owned());
            // A confirmation that was declined leaves no subscription.
            ApiError::refused_by_toss(Problem::PaymentDeclined, code, message, None)
        }
        (_, code) => ApiError::payment_canceled(code),
    }
}

/// Refused by the bank when it was charged, else by the registration itself.
fn refused(card: Registration, id: String) -> ApiError {
    let problem = if card.payment_id.is_some() { Problem::PaymentDeclined } else { Problem::CardRefused };
    let (code, message) = (card.toss_code.unwrap_or_default(), card.toss_message.unwrap_or_default());
    ApiError::refused_by_toss(problem, code, message, Some(id))
}
