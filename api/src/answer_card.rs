//! What a registered card is answered, at once or when asked again: one mapping from the registration on record.

use axum::response::Response;
use common::{
    domain::registration::{Registration, RegistrationStatus},
    id::subscription_ref,
};

use crate::{
    answer::{confirmed, processing_at},
    app::App,
    error::ApiError,
};

pub(crate) async fn answer(app: &App, card: Registration) -> Result<Response, ApiError> {
    let id = subscription_ref(card.subscription_id);
    match card.status {
        RegistrationStatus::Pending
        | RegistrationStatus::Unknown
        | RegistrationStatus::Issued
        | RegistrationStatus::Verifying => processing_at(format!("/api/subscriptions/{id}/payment-method")),
        RegistrationStatus::Applied => confirmed(app, card.subscription_id).await,
        RegistrationStatus::Refused => Err(refused(card, id)),
        RegistrationStatus::Dropped => Err(ApiError::PaymentCanceled { code: None }),
    }
}

/// By the bank when it was charged, else by the registration itself.
fn refused(card: Registration, id: String) -> ApiError {
    let (subscription, is_decline) = (Some(id), card.payment_id.is_some());
    let (code, message) = (card.toss_code.unwrap_or_default(), card.toss_message.unwrap_or_default());
    if is_decline {
        ApiError::Declined { code, message, subscription }
    } else {
        ApiError::CardRefused { code, message, subscription }
    }
}
